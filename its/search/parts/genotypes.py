"""Genotypes of a schedule search: sets of times, or a density over times, as places in a model's list of times.

A grid is a tuple of places in a model's list of times, ascending from 0, the noisiest: sorted and distinct, so that no
two orders of one set are two candidates and no candidate has fewer steps than it should.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Protocol

import numpy as np

from its.particles.host_random import HostRandom

Gene = tuple[int, ...]
Places = tuple[int, ...]

LOWEST, HIGHEST = 3, 10
"""Weights of a density that mutation draws from (O2TDM)."""

FIRST = 5
"""The lowest weight of a density at the start (O2TDM)."""

ANYWHERE = range(1 << 31)
"""Places of every time."""


class Genotype(Protocol):
    """A code of grids, with random genes, mutants and children.

    Attributes:
        seed: the gene of a uniform grid; None if there is none.
        size: how many grids there are at most.
        begins: places at which a grid may begin.
    """

    @property
    def begins(self) -> range: ...

    @property
    def seed(self) -> Gene | None: ...

    @property
    def size(self) -> int: ...

    def grid(self, gene: Gene) -> Places:
        """Return the grid that a gene codes."""
        ...

    def random(self, random: HostRandom) -> Gene: ...

    def mutant(self, gene: Gene, prob: float, random: HostRandom) -> Gene:
        """Return a copy in which each entry is redrawn with probability `prob`."""
        ...

    def child(self, one: Gene, other: Gene, random: HostRandom) -> Gene: ...


@dataclass(frozen=True)
class Steps:
    """The times themselves (AutoDiffusion); a gene is its own grid.

    Attributes:
        steps: how many. total: the times to choose from.
        seed: the sampler's own grid.
        begins: places at which a grid may begin.
    """

    steps: int
    total: int
    seed: Gene | None = None
    begins: range = ANYWHERE

    @property
    def size(self) -> int:
        first, stop = (min(place, self.total) for place in (self.begins.start, self.begins.stop))
        return comb(self.total - first, self.steps) - comb(self.total - stop, self.steps)

    def grid(self, gene: Gene) -> Places:
        return gene

    def random(self, random: HostRandom) -> Gene:
        return _sorted(random.permutation(self.total)[: self.steps])

    def mutant(self, gene: Gene, prob: float, random: HostRandom) -> Gene:
        """Replace each time with probability `prob` by one that the parent does not have, without repeats."""
        free = sorted({*range(self.total)} - {*gene})
        lost = [place for place, hit in zip(gene, random.uniform(self.steps) < prob, strict=True) if hit][: len(free)]
        fresh = random.permutation(len(free))[: len(lost)]
        return _sorted([*({*gene} - {*lost}), *(free[k] for k in fresh)])

    def child(self, one: Gene, other: Gene, random: HostRandom) -> Gene:
        """Return the times that both parents have, filled up with times that one of them has.

        Deviation: AutoDiffusion crosses by position, which repeats times and so shortens the schedule.
        """
        both, either = {*one} & {*other}, sorted({*one} ^ {*other})
        extra = random.permutation(len(either))[: self.steps - len(both)]
        return _sorted([*both, *(either[k] for k in extra)])


@dataclass(frozen=True)
class Density:
    """Weights at knots that are equally far apart in time, the last at the noisiest (O2TDM).

    A grid's times are the density's quantiles 1/K, 2/K, ..., 1; even weights are trailing spacing.
    Deviation: O2TDM draws times independently, and so some twice.

    Attributes:
        steps: K. total: the times to choose from. knots: at least 2.
        begins: places at which a grid may begin; all begin at 0, the noisiest.
    """

    steps: int
    total: int
    knots: int = 11
    begins: range = ANYWHERE

    @property
    def seed(self) -> Gene:
        return ((LOWEST + HIGHEST + 1) // 2,) * self.knots

    @property
    def size(self) -> int:
        return int((HIGHEST - LOWEST + 1) ** self.knots) if 0 in self.begins else 0

    def grid(self, gene: Gene) -> Places:
        weight = np.interp(np.linspace(0, 1, self.total), np.linspace(0, 1, self.knots), gene)
        share = np.cumsum(weight) / weight.sum()
        quantiles = np.arange(1, self.steps + 1) / self.steps
        times = np.minimum(np.searchsorted(share, quantiles - 1e-9), self.total - 1)
        k = np.arange(self.steps)
        apart = np.minimum.accumulate((times - k)[::-1])[::-1] + k
        return _sorted(self.total - 1 - np.maximum(apart, k))

    def random(self, random: HostRandom) -> Gene:
        return tuple(FIRST + k for k in random.choice(HIGHEST - FIRST + 1, self.knots))

    def mutant(self, gene: Gene, prob: float, random: HostRandom) -> Gene:
        lost = random.uniform(self.knots) < prob
        weights = random.choice(HIGHEST - LOWEST + 1, self.knots)
        return tuple(LOWEST + new if gone else old for old, gone, new in zip(gene, lost, weights, strict=True))

    def child(self, one: Gene, other: Gene, random: HostRandom) -> Gene:
        """Take every knot from one parent or the other, by a coin."""
        coins = random.choice(2, self.knots)
        return tuple(b if coin else a for a, b, coin in zip(one, other, coins, strict=True))


def _sorted(places: Sequence[int] | np.ndarray) -> Places:
    return tuple(sorted(int(place) for place in places))
