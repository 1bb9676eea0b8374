"""Breadth-first search's rule of selection: rounded softmax counts (Zhang et al. 2025, arXiv:2505.23614).

There is no randomness in it.
"""

from __future__ import annotations

from itertools import pairwise
from math import exp

from its.levels import Grid


def increase(grid: Grid, i: int) -> float:
    """The `increase` schedule at step i: alpha-bar ratio of the step, normalised to mean 1."""
    ratios = [(t.alpha / s.alpha) ** 2 for t, s in pairwise(grid)]
    return ratios[i] * len(ratios) / sum(ratios)


def offspring(rewards: list[float], temperature: float) -> list[int]:
    """Copies of each particle: round(N softmax), ties to even; at least one particle has some."""
    top = max(rewards)
    weights = [1.0 if r == top else exp(temperature * (r - top)) for r in rewards]
    return [round(len(rewards) * w / sum(weights)) for w in weights]


def survivors(rewards: list[float], temperature: float) -> list[int]:
    """Indices after resampling: each repeated as often as it has offspring, the first N of them."""
    counts = offspring(rewards, temperature)
    return [k for k, copies in enumerate(counts) for _ in range(copies)][: len(rewards)]
