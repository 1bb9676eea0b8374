"""Selection by rounded softmax counts, without randomness: the rule of BFS (Zhang et al. 2025, arXiv:2505.23614)."""

from __future__ import annotations

from itertools import pairwise
from math import exp

from its.levels import Grid
from its.particles.image import Image


def checks(image: Image, start: float, step_size: float) -> range:
    """Return the steps after which particles are judged; below 1, either number is a share of the sampling."""
    return range(image.in_steps(start), image.steps, image.in_steps(step_size))


def increase(grid: Grid, i: int) -> float:
    """Return the `increase` schedule at step i: the step's ratio of alpha-bar, normalised to mean 1."""
    ratios = [(t.alpha / s.alpha) ** 2 for t, s in pairwise(grid)]
    return ratios[i] * len(ratios) / sum(ratios)


def offspring(rewards: list[float], temperature: float) -> list[int]:
    """Count the copies of each particle: round(N softmax), ties to even; at least one particle has some."""
    top = max(rewards)
    weights = [1.0 if r == top else exp(temperature * (r - top)) for r in rewards]
    return [round(len(rewards) * w / sum(weights)) for w in weights]


def survivors(rewards: list[float], temperature: float) -> list[int]:
    """List the first N indices, each repeated as often as it has offspring."""
    counts = offspring(rewards, temperature)
    return [k for k, copies in enumerate(counts) for _ in range(copies)][: len(rewards)]
