"""A tree of states whose values are soft means of the rewards below them (Jain et al. 2025, arXiv:2506.20701)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, hypot, inf, isfinite, log, sqrt
from statistics import fmean

from its.particles.particle import Particle


@dataclass(slots=True, eq=False)
class Node:
    """A state of the tree, and what rollouts through it have come to.

    Attributes:
        particle: None of the root, which stands above all starting points, and of an image, which nothing follows.
        value: the soft mean of its children's values; of an image its reward.
        visits: 1, and 1 more for each walk that has gone through it.
        children: in the order in which they were made.
    """

    particle: Particle | None = None
    value: float = -inf
    visits: int = 1
    children: list[Node] = field(default_factory=list)

    def back_up(self, strength: float) -> None:
        """Take its value from its children's, which are up to date."""
        self.value = soft_mean([child.value for child in self.children], strength)


def soft_mean(values: Sequence[float], strength: float) -> float:
    """Return `log(mean(exp(strength values))) / strength`, between mean and maximum (2506.20701, Eq. 5)."""
    top = max(values)
    return top + log(sum(1.0 if v == top else exp(strength * (v - top)) for v in values) / len(values)) / strength


def inverse_temperature(rewards: Sequence[float]) -> float:
    """Return 1 / standard deviation of the finite rewards; of equal ones 1, and any would do."""
    finite = [reward for reward in rewards if isfinite(reward)] or [0.0]
    if min(finite) == max(finite):
        return 1.0
    mean = fmean(finite)
    return sqrt(len(finite)) / hypot(*(reward - mean for reward in finite))
