"""The shards with the images that a run delivers: its own, or those that an oracle has chosen among its candidates."""

from __future__ import annotations

from its.disk.array_names import CHOSEN
from its.disk.run_folder import RunFolder

CHOICE = "chosen"
"""Entry of a summary: the folder below `chosen/` with the images that its curve is of."""


def image_names(files: RunFolder) -> list[str]:
    """Return the names of these shards that are on disk, in the order of their problems."""
    try:
        choice = files.read_summary().get(CHOICE)
    except (FileNotFoundError, ValueError):  # of a run that is not finished its own
        choice = None
    if choice is None:
        return files.shard_names
    return sorted(f"{CHOSEN}{choice}/{path.name}" for path in (files.path / CHOSEN / str(choice)).glob("*.safetensors"))
