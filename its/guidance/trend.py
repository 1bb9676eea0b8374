"""The course of a guidance's strength over a sampling."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from its.levels import Grid

Trend = Literal["increase", "decrease", "constant"]


@lru_cache(maxsize=64)
def trend_weights(trend: Trend, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the native times of a grid's steps, ascending, and the weight of a strength at each, of mean 1.

    A step's weight is its ratio of abar to the next level's (`increase`), 1 minus that (`decrease`) or 1 (`constant`),
    normalised: Ye et al. 2024 (arXiv:2409.15761), as their code has it.

    Raises:
        ValueError: every weight is 0.
    """
    abar = np.array([level.alpha**2 / (level.alpha**2 + level.sigma**2) for level in grid])
    ratio = abar[:-1] / abar[1:]
    weights = {"increase": ratio, "decrease": 1.0 - ratio, "constant": np.ones_like(ratio)}[trend]
    if weights.sum() <= 0:
        raise ValueError(f"a strength with trend {trend!r} is 0 at every step of this sampling; choose constant")
    return np.array([level.time for level in grid[:-1]])[::-1], (weights * len(weights) / weights.sum())[::-1]
