"""Smoke runs (`smoke=true`): the same experiment on tiny random twins of its networks and data, in less than a minute.

Wherever a node of the configuration has an entry `smoke`, its values replace the node's; `{twin}` in them is a folder
in which the entry's `make`, a function of `its.twins`, writes a random checkpoint in the original's format. So the twin
comes in through the code that loads the real thing. An entry with a `_target_` replaces its node altogether. A plan
only names the twins, `twin:<hash>` for the folder; they are made when a run is built.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from its import __version__
from its.budget import KINDS
from its.config.declarations import parameters
from its.config.instantiate import CHOICES, TARGET, check_targets, instantiate
from its.process.source_tree import ROOT

IMAGES, STEPS, BATCH, CAPS, SAMPLINGS = 12, 4, 12, 2, 20
"""At most, in a smoke run."""

HERE = "{twin}"
TWIN = "twin:"
MAKERS = tuple(f"its.twins.{file.stem}.write" for file in sorted((ROOT / "its" / "twins").glob("[a-z]*.py")))
"""Makers of twins; only a `make` may name one."""


@dataclass(frozen=True)
class Twin:
    """A folder of random weights or data that a smoke run reads.

    Attributes:
        make: node of the call that writes it, with `{twin}` for the folder.
    """

    make: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name in a configuration."""
        content = json.dumps([self.make, __version__], sort_keys=True)
        return TWIN + sha256(content.encode()).hexdigest()[:16]

    def place(self, folder: Path) -> Path:
        """Return its folder below that of all twins."""
        return folder / self.name.removeprefix(TWIN)

    def write(self, folder: Path, packages: Sequence[str]) -> None:
        """Write it below `folder`, unless it is there; of several processes whoever comes first."""
        target = self.place(folder)
        if target.exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(mkdtemp(prefix=f".{target.name}-", dir=folder))
        instantiate(_replaced(self.make, HERE, str(scratch)), _makers(packages))
        try:
            os.rename(scratch, target)
        except OSError:  # another process was first
            shutil.rmtree(scratch)


def out_dir(config: Any) -> Path:
    """Return the folder of all experiments of this configuration: `<out_dir>/smoke` for smoke runs."""
    folder = Path(config["out_dir"]).expanduser().absolute()
    return folder / "smoke" if config["smoke"] else folder


def settled(plain: dict[str, Any], packages: Sequence[str]) -> tuple[dict[str, Any], list[Twin]]:
    """Return the configuration without its `smoke` entries, and the twins that it names.

    If it is a smoke run, twins and small sizes have taken their places.

    Args:
        plain: as plain containers, resolved.
        packages: whose functions may make a twin.

    Raises:
        ValueError: `smoke` is neither true nor false, or a twin is to be made by something else.
    """
    if not isinstance(plain["smoke"], bool):
        raise ValueError(f"smoke is {plain['smoke']!r}; it is true or false")
    twins: list[Twin] = []
    config = {
        key: _settled(value, twins if plain["smoke"] else None, packages)
        for key, value in plain.items()
        if key != "smoke"
    }
    return (_shrunk({**config, "out_dir": str(out_dir(plain))}) if plain["smoke"] else config), twins


def is_twin(name: str) -> bool:
    """Return whether a path in a configuration is a twin's."""
    return name.startswith(TWIN)


def with_twins(plain: dict[str, Any], twins: Sequence[Twin], packages: Sequence[str]) -> dict[str, Any]:
    """Write the twins that are missing; return the configuration with their paths for their names."""
    if not twins:
        return plain
    folder = Path(plain["out_dir"]) / "twins"
    for twin in twins:
        twin.write(folder, packages)
        plain = _replaced(plain, twin.name, str(twin.place(folder)))
    return plain


def _settled(node: Any, twins: list[Twin] | None, packages: Sequence[str]) -> Any:
    if isinstance(node, list):
        return [_settled(value, twins, packages) for value in node]
    if not isinstance(node, dict):
        return node
    entry = node.get("smoke")
    if twins is None or not isinstance(entry, dict):
        return {key: _settled(value, twins, packages) for key, value in node.items() if key != "smoke"}
    values = {key: value for key, value in entry.items() if key != "make"}
    base = {} if "_target_" in values else {key: value for key, value in node.items() if key != "smoke"}
    if "make" in entry:
        twin = _twin(entry["make"], {**base, **values}, packages)
        twins.append(twin)
        values = _replaced(values, HERE, twin.name)  # nodes below have twins of their own
    return _settled({**base, **values}, twins, packages)


def _twin(make: Any, node: dict[str, Any], packages: Sequence[str]) -> Twin:
    """The twin of `node`: `make` is called with its own values, and with the node's for whatever else it declares.

    It makes nothing else on the way, and writes to its first parameter, which lies in the twin's folder.
    """
    if not isinstance(make, dict) or TARGET not in make:
        raise ValueError(f"make of a twin is {make!r}; it is the call of a maker, with its {TARGET}")
    check_targets({TARGET: make[TARGET]}, _makers(packages))
    declared = parameters(make[TARGET])
    values = {key: value for key, value in node.items() if key in declared} | make
    check_targets([value for key, value in values.items() if key != TARGET], ())
    first = next(iter(declared), "")
    place = str(values.get(first))
    if place.split("/")[0] != HERE or ".." in place:
        raise ValueError(f"{first} of {make[TARGET]} is {place!r}; a twin is written to {HERE}, or to {HERE}/<name>")
    return Twin(values)


def _makers(packages: Sequence[str]) -> tuple[str, ...]:
    return (*MAKERS, *(name for name in packages if name not in CHOICES))


def _replaced(node: Any, old: str, new: str) -> Any:
    """A node with `new` for `old` in every string below it."""
    if isinstance(node, dict):
        return {key: _replaced(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, old, new) for value in node]
    return node.replace(old, new) if isinstance(node, str) else node


def _shrunk(plain: dict[str, Any]) -> dict[str, Any]:
    """Fewer images, steps, rows and caps; caps in NFE fall with the steps, many samplings to few."""
    sampler, budget = dict(plain["sampler"]), dict(plain["budget"])
    steps = sampler["steps"]
    if isinstance(sampler.get("spacing", ""), str) and isinstance(steps, int) and steps > STEPS:
        sampler["steps"] = STEPS
        if budget.get("nfe") is not None:
            budget["nfe"] = sorted({math.ceil(cap * STEPS / steps) for cap in budget["nfe"]})
    for key in KINDS:
        if isinstance(budget.get(key), list):
            budget[key] = budget[key][:CAPS]
    if budget.get("samplings") and budget["samplings"][-1] > SAMPLINGS:
        most = budget["samplings"][-1]
        budget["samplings"] = sorted({math.ceil(cap * SAMPLINGS / most) for cap in budget["samplings"]})
    mosts = dict.fromkeys(("images", "shard"), IMAGES)
    mosts |= dict.fromkeys(("batch", "gradient_batch", "decode_batch", "verify_batch"), BATCH)
    least = {key: min(plain[key], most) for key, most in mosts.items() if isinstance(plain[key], int)}
    return {**plain, **least, "sampler": sampler, "budget": budget}
