"""About how much memory a run takes at its peak, beside its networks: the one place that says so.

The parts were fitted to peaks of real runs (docs/performance.md); what a metric of one's own holds on top of features is
not among them.
"""

from __future__ import annotations

import math

from its.config.parts import Parts

PROCESS_BYTES = 500_000_000
"""Python, torch and the libraries that measure, before anything is loaded."""

BATCHES_OF_ROWS = 96
"""Batches of rows that images in the making hold together, where `rows` says nothing else."""

OPEN_SHARDS = 3
"""Shards that are being filled at once, and the one that is written."""

COPIES = 3
"""Times that a metric holds the features of one cap, in float32: as read, chosen, and in blocks of float64."""

SQUARES = 8
"""Matrices of width squared that FID holds in float64: covariances, their product and its root."""


def memory_bytes(parts: Parts, caps: int) -> int:
    """Return the peak of one process, in bytes, about.

    Args:
        caps: how many.
    """
    plain, dataset = parts.plain, parts.plain["dataset"]
    pixels, width, images = math.prod(dataset["shape"]), dataset["report_width"], plain["images"]

    # Rows of float32 that images in the making hold; a state is at most as large as its image.
    rows = 4 * pixels * (plain["rows"] or BATCHES_OF_ROWS * plain["batch"])
    rows = min(rows, plain.get("rows_bytes", rows))

    # Images of shards under way, and what measuring holds of all images at one cap.
    shards = OPEN_SHARDS * min(plain["shard"], images) * caps * pixels
    measuring = 4 * COPIES * images * width + 8 * SQUARES * width**2
    return PROCESS_BYTES + rows + shards + measuring
