"""The keys that size batches, and the tensor rows that particles may hold for them. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable

BATCHES = ("batch", "gradient_batch", "decode_batch", "verify_batch")
"""Keys of a configuration that size batches; an `Engine` has arguments and attributes of the same names."""

BATCHES_OF_ROWS = 96
"""Batches whose rows are held together where nothing else is said."""


def most_rows(rows: int | None, batches: Iterable[int | None]) -> int:
    """Return how many tensor rows images in the making may hold together: `rows`, or by the largest of the batches."""
    return rows or BATCHES_OF_ROWS * max(size or 0 for size in batches)
