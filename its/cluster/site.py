"""Settings of a cluster, filled in once: `slurm/site.yaml`, or the file that ITS_SITE names.

Everything in it is of one task (one worker, one GPU): a run on several tasks asks for that many times as much. Only
this file, never a configuration, may hold shell lines: whoever writes it submits with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from its.process.source_tree import ROOT

SBATCH = (
    "partition",
    "account",
    "qos",
    "gres",
    "constraint",
    "exclude",
    "nodelist",
    "cpus_per_task",
    "mem_gb",
    "timeout_min",
    "array_parallelism",
)
"""Entries that a configuration may replace: `hydra.launcher.partition=...`."""

SITE_ONLY = ("additional_parameters", "setup", "container", "python")
"""Entries of the site file only: shell for the batch script, and any other option of sbatch."""


def load_site(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the site file's entries; none if there is no file.

    Raises:
        ValueError: the file that ITS_SITE names is not there, or an entry is unknown or badly formed.
    """
    variable = environment.get("ITS_SITE")
    path = Path(variable).expanduser() if variable else ROOT / "slurm" / "site.yaml"
    if not path.exists():
        if variable:
            raise ValueError(f"ITS_SITE is {variable!r}, and there is no such file; copy slurm/site.example.yaml there")
        return {}
    site = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    unknown = sorted(set(site) - {*SBATCH, *SITE_ONLY})
    if unknown:
        raise ValueError(f"{path} has {', '.join(unknown)}; it may have {', '.join((*SBATCH, *SITE_ONLY))}")
    if not isinstance(site.get("setup") or [], list):
        raise ValueError(f"setup in {path} is {site['setup']!r}; it is a list of shell lines")
    refuse_shell({key: site[key] for key in (*SBATCH, SITE_ONLY[0]) if site.get(key) is not None}, str(path))
    return {key: value for key, value in site.items() if value is not None}


def refuse_shell(entries: Mapping[str, Any], where: str) -> None:
    """Refuse values that would end a line of a batch script's header and begin one of shell.

    Raises:
        ValueError: a value holds a control character, or a name is none of sbatch's.
    """
    for key, value in entries.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", str(key)):
            raise ValueError(f"{key!r} in {where} is not the name of an sbatch option")
        if isinstance(value, Mapping):
            refuse_shell(value, f"{where}, {key}")
        elif not isinstance(value, str | int | float) or re.search(r"[\x00-\x1f\x7f]", str(value)):
            raise ValueError(f"{key} is {value!r} in {where}; it is a number or one line of text")


def times(gres: str, tasks: int) -> str:
    """Return the generic resources of `tasks` tasks: of four, `gpu:a100:1` becomes `gpu:a100:4`."""

    def of_all(item: str) -> str:
        kind, _, count = item.rpartition(":")
        return f"{kind}:{int(count) * tasks}" if count.isdigit() else f"{item}:{tasks}"

    return ",".join(of_all(item) for item in gres.split(","))
