"""Trust regions over the starting noise, and the quasi-random noises that they begin from (arXiv:2603.14504)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from its.particles.image import Image

FIRST, SHORTEST, LONGEST = 0.8, 0.05, 2.4
"""Side of a region: at its start, and the bounds that it stays within."""

FACTOR, PATIENCE = 1.5, 3
"""By how much a side changes, and after how many successes or failures in a row."""

SHARE = 0.1, 0.9
"""Bounds of the share of coordinates that the candidates of a region move."""

BITS = 30
"""Binary digits of a point of Sobol's sequence."""

SCRAMBLED = [[440180019, 1035216202], [775146742, 115453850]]
"""The first points of two numbers by scipy 1.17.1, in whole multiples of `2^-BITS`."""

SOBOL_DIMENSIONS = 21_201
"""The most that Sobol's sequence has direction numbers for."""


@dataclass
class TrustRegion:
    """The side of a cube around a good noise, which successes lengthen and failures shorten.

    A further `PATIENCE` failures at the shortest side begin it anew.
    """

    side: float = FIRST
    successes: int = 0
    failures: int = 0

    def update(self, success: bool) -> None:
        """Count the outcome of an iteration, whether a candidate of this region beat its centre."""
        self.successes = self.successes + 1 if success else 0
        self.failures = 0 if success else self.failures + 1
        if self.successes == PATIENCE:
            self.side, self.successes = min(FACTOR * self.side, LONGEST), 0
        elif self.failures == PATIENCE:
            self.side = FIRST if self.side == SHORTEST else max(self.side / FACTOR, SHORTEST)
            self.failures = 0


def around(centres: np.ndarray, sides: np.ndarray, shares: np.ndarray, image: Image) -> np.ndarray:
    """Draw a candidate from the cube around each centre, which moves a random share of its coordinates, at least one.

    Args:
        centres: `[n, *shape]`. sides, shares: `[n]`.
    """
    flat = centres.reshape(len(centres), -1)
    coins, places = image.random.uniform(2 * flat.size).reshape(2, *flat.shape)
    moves = coins <= np.maximum(shares[:, None], coins.min(axis=1, keepdims=True))
    return (flat + moves * (places - 0.5) * sides[:, None]).reshape(centres.shape)


def shares(n: int, image: Image) -> np.ndarray:
    """Draw for each of `n` regions the share of coordinates that its candidates move, `[n]`."""
    low, high = SHARE
    return low + (high - low) * image.random.uniform(n)


def quasi_normal(n: int, image: Image) -> np.ndarray:
    """Draw `n` noises `[n, *shape]` by Sobol's sequence, shifted digitally by the image's own random numbers.

    Above `SOBOL_DIMENSIONS` they are independent.
    """
    d = int(np.prod(image.shape))
    if d > SOBOL_DIMENSIONS:
        return image.random.normal((n, *image.shape))

    from scipy.special import ndtri

    shift = (2**BITS * image.random.uniform(d)).astype(np.int64)
    cells = sobol_cells(d, (n - 1).bit_length())[:n] ^ shift
    return ndtri((cells + 0.5) / 2**BITS).reshape(n, *image.shape)  # the middle of each cell: never 0 or 1


@lru_cache(maxsize=4)
def sobol_cells(d: int, doublings: int) -> np.ndarray:
    """Return the first `2^doublings` points of one scrambled Sobol sequence, as whole multiples of `2^-BITS`.

    All images share it, since scrambling takes longer than some samplings (1.8 ms for 64 numbers, 85 ms for 3,072).

    Raises:
        ValueError: this scipy scrambles otherwise, and would give other noises.
    """
    import scipy

    if _scrambled(2, 1).tolist() != SCRAMBLED:
        raise ValueError(
            f"scipy {scipy.__version__} scrambles Sobol's sequence otherwise than 1.17.1, so that search=trs would "
            "begin from other noises; install scipy==1.17.1"
        )
    return _scrambled(d, doublings)


def _scrambled(d: int, doublings: int) -> np.ndarray:
    from scipy.stats.qmc import Sobol

    return np.ldexp(Sobol(d, rng=0, bits=BITS).random_base2(doublings), BITS).astype(np.int64)
