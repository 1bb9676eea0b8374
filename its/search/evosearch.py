"""EvoSearch: evolutionary search over starting points and states on the way (He et al. 2025, arXiv:2505.17618).

Schedule, mutations and tournament of the authors' code (SD 2.1).

Deviation: elites keep the reward they have and stay in the pool, instead of being sampled again; states are kept
before the step that they are mutated at, where the original is one step off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import ClassVar, Self

from its.host_random import HostRandom
from its.image import Image, Particle
from its.moves import Mix
from its.sampler.sampler import ancestral_variance
from its.search.check import at_least
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward

Pool = list[tuple[float, Particle]]


@dataclass(frozen=True)
class EvoSearch:
    """Mutate good states at one level after the other, each judged by the image that it leads to.

    NFE = population samplings + for every level, offspring times the way down from there.

    Attributes:
        schedule: where generations are bred, as shares of the sampling; 0 is the starting point.
        mutation: share of fresh noise in a mutated starting point.
        subset: share of the pool that meets in one tournament.
        population, offspring: starting points, and mutants of each generation; null under a cap, which buys
            them two to one.
    """

    schedule: Sequence[float] = (0.0, 0.4, 0.6, 0.8)
    mutation: float = 0.2
    subset: float = 0.9
    population: int | None = None
    offspring: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"population": 42, "offspring": 21}
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Mix(self.mutation)
        at_least(1, self, "population")
        at_least(0, self, "offspring")
        shares = list(self.schedule)
        if not shares or shares != sorted(set(shares)) or not 0 <= shares[0] <= shares[-1] < 1:
            raise ValueError(f"search.schedule is {shares}; it lists ascending shares of the sampling, 0 to below 1")

    @property
    def peak_rows(self) -> int:
        population, offspring = self.population or 1, self.offspring or 0
        return ROWS_PER_PARTICLE * max(population, offspring) + 3 * len(self.schedule) * (population + offspring)

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        prices = [image.cost(image.grid[stop]) for stop in self._stops(image)]
        population = max(1, int(nfe / (image.cost() + sum(prices) / 2)))
        left, offspring = nfe - population * image.cost(), 0
        for turn, price in enumerate(prices):
            size = int(left / sum(prices[turn:]))
            left, offspring = left - size * price, max(offspring, size)
        return replace(self, population=population, offspring=offspring)

    def run(self, image: Image) -> Coroutine:
        assert self.population is not None
        assert self.offspring is not None
        stops = self._stops(image)
        pools: dict[int, Pool] = {stop: [] for stop in stops}
        yield from sampled(image, image.start(self.population), pools)
        for turn, stop in enumerate(stops):
            size = int(min(self.offspring, image.left / sum(image.cost(image.grid[s]) for s in stops[turn:])))
            pool = pools.pop(stop)
            parents = [self._winner(pool, image.random) for _ in range(size)]
            if stop:
                mutants = image.jitter(parents, sqrt(ancestral_variance(image.grid[stop], image.grid[stop + 1], 1.0)))
            else:
                mutants = [image.move(parent, Mix(self.mutation), fresh=True)[0] for parent in parents]
            yield from sampled(image, mutants, pools)
        return None

    def _stops(self, image: Image) -> list[int]:
        return sorted({min(round(share * image.steps), image.steps - 1) for share in self.schedule})

    def _winner(self, pool: Pool, random: HostRandom) -> Particle:
        entrants = random.permutation(len(pool))[: ceil(self.subset * len(pool))]
        return pool[max(entrants, key=lambda k: pool[k][0])][1]


def sampled(image: Image, particles: list[Particle], pools: dict[int, Pool]) -> Coroutine:
    """Denoise and score; enter the states that they pass on the way with the reward of where it ends."""
    passed = {}
    for stop in pools:
        particles = passed[stop] = yield advance(particles, to=image.grid[stop])
    rewards = yield reward((yield advance(particles)))
    for stop, states in passed.items():
        pools[stop] += zip(rewards, states, strict=True)
    return None
