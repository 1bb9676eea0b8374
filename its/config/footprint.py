"""The disk that a run needs, at most, and the memory that it takes, about: the one place that says so.

Disk is held against real folders in tests; memory is an estimate, and docs/memory.md has measured peaks.
"""

from __future__ import annotations

import math

from its.config.parts import Parts
from its.disk.kept import SHOWN
from its.particles.batches import BATCHES, most_rows

LEDGER_BYTES = 72
"""Of one image at one cap: reward, pick, start, counts and effects on metrics, at most; see `its.run.shards`."""

IMAGE_BYTES = 64
"""Of one image whatever the caps: index, class and what its rewards were."""

DIGEST_BYTES = 32
"""Of an image that is not stored: its sha256."""

FILE_BYTES = 6_000
"""Of one shard: heads of its files, their lines in the manifest with a sha256 for each array, and its timing."""

SCORES_BYTES = 1_000
"""Of a shard's scores by one held-out verifier: the head of the file, and its line in the manifest."""

RUN_BYTES = 250_000
"""Of one run: the list of its sources, configuration, curve and its picture."""

CANDIDATE_BYTES = 120
"""Of one candidate in a pool: keys, clock, reward and a short recipe; see `its.run.candidates`."""

NUMBER_BYTES = 24
"""Of one number of a recipe, which is text."""

PROCESS_BYTES = 1_100_000_000
"""Python, torch and the libraries that measure, before anything is loaded."""

OPEN_SHARDS = 3
"""Shards that are being filled at once, with the one that is written."""

COPIES = 3
"""Times that a metric holds the features of one cap, in float32: as read, as chosen, and parts of them in float64."""

SQUARES = 8
"""Matrices of width squared that FID holds in float64: covariances, their product and its root."""


def disk_bytes(parts: Parts, caps: int, images: int, files: int, nfe: float) -> int:
    """Return what is missing of a run on disk: at most, but for a pool, whose candidates may be made in fewer steps.

    Args:
        caps: how many.
        images, files: that are missing. nfe: that they take.
    """
    if not files:
        return 0
    dataset = parts.plain["dataset"]
    pixels, features, shown = math.prod(dataset["shape"]), 4 * dataset["report_width"], min(images, SHOWN)

    # A different image at every cap, with its starting point in float32 where a search has moved that.
    stored = {"all": images, "preview": shown, "none": 0}[parts.storage]
    noise = 4 if parts.storage == "all" and parts.search.moves_starts and not parts.sampler.stochastic else 0
    digests = 0 if parts.storage == "all" else images * DIGEST_BYTES
    shards = caps * (stored * pixels * (1 + noise) + digests + images * (features + LEDGER_BYTES))

    # Once more what an oracle chooses of them.
    shards += caps * images * (pixels + LEDGER_BYTES) + files * FILE_BYTES if parts.has_oracle else 0

    # What people look at, and the files themselves.
    grids = caps * shown * pixels
    scores = len(parts.plain["report"]) * (8 * caps * images + files * SCORES_BYTES)
    return shards + images * IMAGE_BYTES + grids + RUN_BYTES + files * FILE_BYTES + scores + _pool_bytes(parts, nfe)


def _pool_bytes(parts: Parts, nfe: float) -> int:
    """Float pixels, features, keys and recipes of candidates, as many as `nfe` pays for plain samplings."""
    if not parts.keep_candidates or math.isinf(nfe):
        return 0
    dataset, candidates = parts.plain["dataset"], nfe / parts.samplings[0]
    recipe = CANDIDATE_BYTES + NUMBER_BYTES * parts.search.recipe_numbers(tuple(dataset["shape"]))
    return round(candidates * (4 * math.prod(dataset["shape"]) + 4 * dataset["report_width"] + recipe))


def memory_bytes(parts: Parts, caps: int) -> int:
    """Return the peak of one process beside its networks, in bytes, about.

    Args:
        caps: how many.
    """
    plain, dataset = parts.plain, parts.plain["dataset"]
    pixels, width, images = math.prod(dataset["shape"]), dataset["report_width"], plain["images"]

    # Rows of float32 that images in the making hold at most; a state is no larger than its image.
    rows = min(4 * pixels * most_rows(plain["rows"], (plain[key] for key in BATCHES)), plain["rows_bytes"])

    # Images of shards under way; what measuring holds of all images at one cap comes when rows are let go.
    shards = OPEN_SHARDS * min(plain["shard"], images) * caps * pixels
    measuring = 4 * COPIES * images * width + 8 * SQUARES * width**2
    return PROCESS_BYTES + max(rows + shards, measuring)
