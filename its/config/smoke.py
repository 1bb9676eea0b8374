"""`smoke=true`: the same experiment on tiny random twins of its networks and data, in less than a minute.

Wherever a node of the configuration has an entry `smoke`, its values replace the node's; `{twin}` in them is a folder
in which the entry's `make`, a function of its.twins, first writes a random checkpoint in the original's format. So
the twin comes in through the code that loads the real thing. An entry with a `_target_` replaces its node altogether.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from its import __version__
from its.config.instantiate import check_targets, instantiate

IMAGES, STEPS, BATCH, CAPS = 12, 4, 12, 2
"""At most, in a smoke run."""

HERE = "{twin}"

TWINS = "its.twins"
"""Where the makers of twins live; only a `make` may name one."""


def out_dir(config: Any) -> Path:
    """Where runs of this configuration go: `<out_dir>/smoke` for smoke runs."""
    folder = Path(config["out_dir"]).expanduser().absolute()
    return folder / "smoke" if config["smoke"] else folder


def settle(plain: dict[str, Any], packages: Sequence[str]) -> dict[str, Any]:
    """The configuration without its `smoke` entries; if it is a smoke run, with its twins and sizes in place.

    Args:
        plain: as plain containers, resolved.
        packages: whose functions may make a twin.
    """
    if not isinstance(plain["smoke"], bool):
        raise ValueError(f"smoke is {plain['smoke']!r}; it is true or false")
    folder = out_dir(plain)
    twins = folder / "twins" if plain["smoke"] else None
    settled = {key: _settled(value, twins, packages) for key, value in plain.items() if key != "smoke"}
    if twins is None:
        return settled
    return _shrunk({**settled, "out_dir": str(folder)})


def _settled(node: Any, twins: Path | None, packages: Sequence[str]) -> Any:
    if isinstance(node, list):
        return [_settled(value, twins, packages) for value in node]
    if not isinstance(node, dict):
        return node
    entry = node.get("smoke")
    if twins is None or not isinstance(entry, dict):
        return {key: _settled(value, twins, packages) for key, value in node.items() if key != "smoke"}
    values = {key: value for key, value in entry.items() if key != "make"}
    base = {} if "_target_" in values else {key: value for key, value in node.items() if key != "smoke"}
    merged = {**base, **values}
    if "make" in entry:
        merged = _filled(merged, str(_made(entry["make"], merged, twins, packages)))
    return _settled(merged, twins, packages)


def _made(make: dict[str, Any], node: dict[str, Any], twins: Path, packages: Sequence[str]) -> Path:
    """The folder with the twin of `node`, written once whoever comes first.

    `make` is called with its own values, and with the node's for whatever else it declares.
    """
    packages = (*packages, TWINS)
    check_targets(make, packages)
    module, _, name = make["_target_"].rpartition(".")
    declared = inspect.signature(getattr(import_module(module), name)).parameters
    given = {key: value for key, value in node.items() if key in declared} | make
    key = sha256(json.dumps([given, __version__], sort_keys=True).encode()).hexdigest()[:16]
    target = twins / key
    if not target.exists():
        twins.mkdir(parents=True, exist_ok=True)
        scratch = Path(mkdtemp(prefix=f".{key}-", dir=twins))
        instantiate(_filled(given, str(scratch)), packages)
        try:
            os.rename(scratch, target)
        except OSError:  # another process was first
            shutil.rmtree(scratch)
    return target


def _filled(node: Any, folder: str) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, folder) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, folder) for value in node]
    return node.replace(HERE, folder) if isinstance(node, str) else node


def _shrunk(plain: dict[str, Any]) -> dict[str, Any]:
    """Fewer images, steps, rows and caps; caps in NFE fall with the steps."""
    sampler, budget = dict(plain["sampler"]), dict(plain["budget"])
    steps = sampler["steps"]
    if isinstance(sampler.get("spacing", ""), str) and isinstance(steps, int) and steps > STEPS:
        sampler["steps"] = STEPS
        if budget.get("nfe") is not None:
            budget["nfe"] = sorted({math.ceil(cap * STEPS / steps) for cap in budget["nfe"]})
    for key in ("samplings", "nfe"):
        if isinstance(budget.get(key), list):
            budget[key] = budget[key][:CAPS]
    least = {
        key: min(plain[key], most) if isinstance(plain[key], int) else plain[key]
        for key, most in (("images", IMAGES), ("shard", IMAGES), ("batch", BATCH), ("gradient_batch", BATCH))
    }
    return {**plain, **least, "sampler": sampler, "budget": budget}
