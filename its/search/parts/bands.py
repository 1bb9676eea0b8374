"""Shapes of bands, sizes of generations and rank utilities: parts of searches over the starting noise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import log

import numpy as np


def generations(population: int, candidates: int | None) -> Iterator[int]:
    """Yield the sizes of generations; the last is cut to `candidates`, and without a number there is no last."""
    for total in count(0, population):
        if candidates is not None and total >= candidates:
            return
        yield population if candidates is None else min(population, candidates - total)


def low_band(shape: tuple[int, ...], most: int, narrowest: int = 4) -> tuple[int, tuple[int, ...]]:
    """Return the highest Haar level up to `most` whose band keeps `narrowest` rows and columns, and its shape."""
    channels, height, width = shape
    fits = [k for k in range(most + 1) if all(n % 2**k == 0 and n >= narrowest * 2**k for n in (height, width))]
    level = max(fits, default=0)
    return level, (channels, height >> level, width >> level)


def utilities(n: int) -> np.ndarray:
    """Return rank utilities, best first, which sum to 0 (Wierstra et al. 2014, section 3.1)."""
    raw = np.maximum(0.0, log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    return raw / raw.sum() - 1 / n
