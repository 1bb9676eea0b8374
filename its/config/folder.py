"""A run's folder: its name, the configuration that it belongs to, and an older one of the same run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from its.config.identity import differences, hash8, identity, of_before
from its.disk.run_folder import CONFIG
from its.disk.store import write_atomic

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,79}")


def folder_of(out_dir: str, name: str, label: dict[str, str], record: Mapping[str, Any]) -> Path:
    """Return `<out_dir>/<name>/<dataset>/<model>-<sampler>/<search>[+<guidance>]/<verifier>/<budget>/seed=<n>-<hash8>`.

    Raises:
        ValueError: a part of it is no name.
    """
    parts = (
        name,
        label["dataset"],
        f"{label['model']}-{label['sampler']}",
        label["search"],
        label["verifier"],
        label["budget"],
    )
    for part in parts:
        if not _NAME.fullmatch(part):
            raise ValueError(f"{part!r} cannot name a folder of a run; use letters, digits and . _ + -, at most 80")
    last = f"seed={record['seed']}-{hash8(identity(record))}"
    return Path(out_dir).expanduser().absolute().joinpath(*parts, last)


def claim(folder: Path, record: Mapping[str, Any]) -> None:
    """Make the folder's `config.yaml`, or see that the folder belongs to this very configuration.

    Raises:
        ValueError: it says something else, or the folder has another name since an earlier version.
    """
    check_folder(folder, record)
    path = folder / CONFIG
    if not path.exists():
        write_atomic(path, yaml.safe_dump(dict(record), sort_keys=True).encode())


def check_folder(folder: Path, record: Mapping[str, Any]) -> None:
    """See that nothing else lies in a run's folder, and that the run does not lie elsewhere; write nothing.

    Args:
        record: `reference` and `shard` are compared where both sides have them.

    Raises:
        ValueError: see `claim`.
    """
    # A run that has not begun must not lie under an older name.
    path = folder / CONFIG
    if not path.exists():
        older = older_folder(folder, record)
        if older is not None:
            raise ValueError(
                "an earlier version began this run under another name; to go on with it: "
                f"{adoption(older, folder)}\n(to begin anew, choose another name= or out_dir=)"
            )
        return

    # One that has begun must be this very run.
    keys = _differing(_saved(path), record)
    if keys:
        raise ValueError(
            f"{path} says something else than this command about {', '.join(keys)}; it was edited, "
            "or the run was begun with another shard size: restore it, or choose another name or "
            "out_dir"
        )


def adoption(older: Path, folder: Path) -> str:
    """Return the command that gives an older folder of a run the name of today."""
    return f"mv {shlex.quote(str(older))} {shlex.quote(str(folder))}"


def older_folder(folder: Path, record: Mapping[str, Any]) -> Path | None:
    """Return the folder of the same run whose name ends in another hash, if there is one and none of this name."""
    if folder.exists():
        return None
    beside = sorted(folder.parent.glob(f"seed={record['seed']}-*/{CONFIG}"))
    return next((path.parent for path in beside if not set(_differing(_saved(path), record)) - {"shard"}), None)


def _saved(path: Path) -> Any:
    """Return what a `config.yaml` holds; None for one that is damaged, which is the record of no run."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError):
        return None


def _differing(saved: Any, record: Mapping[str, Any]) -> list[str]:
    """Return the keys under which a saved record, of any version, is not this one."""
    if not isinstance(saved, dict) or not all(isinstance(saved.get(key), dict) for key in ("dataset", "search")):
        return sorted(record)
    today = of_before(saved)
    unknown = {"reference", "shard"} - record.keys()
    return differences({key: value for key, value in today.items() if key not in unknown}, record)
