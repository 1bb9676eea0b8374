"""The names of a run's files of arrays, relative to its folder, and which problems each holds."""

from __future__ import annotations

SHARDS, FEATURES, POOL, SETS, CHOSEN = "shards/", "features/", "pool/", "sets/", "chosen/"
"""Folders of images, of their features, of candidates with theirs, of the sets that a schedule search scores, and of
the images that an oracle has chosen among candidates."""


def shard_ranges(images: int, shard: int) -> list[range]:
    """Return the problem indices of each shard of `shard` images; the last may be shorter."""
    return [range(first, min(first + shard, images)) for first in range(0, images, shard)]


def shard_name(first: int) -> str:
    """Return the name, relative to the run's folder, of the shard whose first problem is `first`."""
    return f"{SHARDS}{first:08d}.safetensors"


def features_name(extractor: str, first: int) -> str:
    """Return the name of the features of a shard's images."""
    return f"{FEATURES}{extractor}/{first:08d}.safetensors"


def candidates_name(first: int) -> str:
    """Return the name of the file with every candidate of a shard's problems."""
    return f"{POOL}{first:08d}.safetensors"


def candidate_features_name(extractor: str, first: int) -> str:
    """Return the name of the features of a shard's candidates."""
    return f"{POOL}{extractor}/{first:08d}.safetensors"


def chosen_name(choice: str, first: int) -> str:
    """Return the name of a shard of the images that an oracle chose; `choice` is a hash of what it chose from."""
    return f"{CHOSEN}{choice}/{first:08d}.safetensors"


def set_name(draw: int, grid: str) -> str:
    """Return the name of a schedule search's score of the grid with hash `grid` under noise `draw`."""
    return f"{SETS}{draw:04d}/{grid}.safetensors"


def first_of(name: str) -> int:
    """Return the first problem of the shard whose arrays, or their features, a file holds."""
    return int(name.rpartition("/")[2].partition(".")[0])


def file_names(first: int, *, with_candidates: bool) -> list[str]:
    """Return the names of the files that hold the images of the shard whose first problem is `first`."""
    return [shard_name(first), *([candidates_name(first)] if with_candidates else [])]
