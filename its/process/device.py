"""The type of device that a shard was made on. GPUs of two types round differently, so a run keeps to one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from its.disk.array_names import shard_name
from its.disk.run_folder import RunFolder

if TYPE_CHECKING:
    import torch

MOST_NAMED = 3
"""Shards of a type that an error lists."""


def device_type(device: torch.device) -> str:
    """Return the GPU's name as its driver gives it, or `cpu`."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def types_of(notes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Return the type of device that each shard was made on, by its first problem; of a shard the latest line counts.

    Args:
        notes: lines of a run's timing file.
    """
    return {note["first"]: note["type"] for note in notes if "first" in note and "type" in note}


def require_one_device_type(folder: Path, notes: Iterable[Mapping[str, Any]], *here: str) -> None:
    """Refuse a run whose shards come from several types of device.

    Args:
        notes: lines of the run's timing file; of a shard that is there the latest counts.
        here: the type of this worker's device, before it makes a shard.

    Raises:
        ValueError: there are several; they are named, with the shards of each.
    """
    type_of = types_of(notes)
    if len({*type_of.values(), *here}) <= 1:
        return
    run = RunFolder(folder)
    types: dict[str, list[int]] = {name: [] for name in here}
    for first, name in sorted(type_of.items()):
        if run.shard(first).exists():
            types.setdefault(name, []).append(first)
    if len(types) > 1:
        shards = "; ".join(f"{name}: {_listed(firsts)}" for name, firsts in sorted(types.items()))
        raise ValueError(
            f"this run is on {len(types)} types of device, and their images differ in the last bits: "
            f"{shards}. Go on with one of them (hydra.launcher.gres), and delete the others' shards"
        )


def _listed(firsts: list[int]) -> str:
    if not firsts:
        return "this worker"
    names = ", ".join(shard_name(first).partition(".")[0] for first in firsts[:MOST_NAMED])
    return names if len(firsts) <= MOST_NAMED else f"{names} and {len(firsts) - MOST_NAMED} more"
