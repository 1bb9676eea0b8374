"""What searches over the bands of a starting noise share: their shapes, generations and ranks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from math import log

import numpy as np


def generations(population: int, candidates: int | None) -> Iterator[int]:
    """Sizes of the generations: the last is cut; without end where no number is given."""
    for done in count(0, population):
        if candidates is not None and done >= candidates:
            return
        yield population if candidates is None else min(population, candidates - done)


def low_band(shape: tuple[int, ...], most: int, narrowest: int = 4) -> tuple[int, tuple[int, ...]]:
    """The highest level up to `most` that divides height and width and keeps a band that is wide enough; its shape."""
    channels, height, width = shape
    fits = [k for k in range(most + 1) if all(n % 2**k == 0 and n >= narrowest * 2**k for n in (height, width))]
    level = max(fits, default=0)
    return level, (channels, height >> level, width >> level)


def utilities(n: int) -> np.ndarray:
    """Fitness shaping by rank, best first: weights that sum to 0 (Wierstra et al. 2014, section 3.1)."""
    raw = np.maximum(0.0, log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    return raw / raw.sum() - 1 / n
