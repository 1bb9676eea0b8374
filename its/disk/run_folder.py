"""Names of a run's files, and which problems each holds."""

from __future__ import annotations

PER_IMAGE = "per_image.safetensors"
"""What the metrics say of each image, `[n, caps]` for each metric: what paired differences are computed from."""


def ranges(images: int, shard: int) -> list[range]:
    """Problem indices of each shard; the last may be shorter."""
    return [range(first, min(first + shard, images)) for first in range(0, images, shard)]


def shard_name(indices: range) -> str:
    """File of a shard, by its first index."""
    return f"shards/{indices.start:08d}.safetensors"


def pool_name(indices: range) -> str:
    """File of a shard's pool: every candidate, with `keep_candidates`."""
    return f"pool/{indices.start:08d}.safetensors"


def pool_features_name(extractor: str, indices: range) -> str:
    """File of the features of a shard's pool."""
    return f"pool/{extractor}/{indices.start:08d}.safetensors"


def features_name(extractor: str, indices: range) -> str:
    """File of a shard's features."""
    return f"features/{extractor}/{indices.start:08d}.safetensors"
