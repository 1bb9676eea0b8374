"""EvoSearch: evolutionary search over starting points and states on the way (He et al. 2025, arXiv:2505.17618)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Self

from its.levels import ancestral_variance
from its.particles.image import Image
from its.particles.moves import Mix
from its.search.parts.rules import SHARE, SHARES
from its.search.parts.spread import spread
from its.search.parts.tournament import Pool, sampled, winners
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class EvoSearch(Search):
    """Mutate good states at one level after the other, each judged by the image that it leads to.

    NFE = population samplings + for every level, offspring times the way down from there.
    """

    schedule: Sequence[float] = (0.0, 0.4, 0.6, 0.8)  # where to breed, in shares of the sampling; 0 is the start
    mutation: float = 0.2  # share of fresh noise in a mutated starting point
    subset: float = 0.9  # share of the pool that meets in one tournament
    population: Size = sized(natural=42)  # starting points; null under a cap
    offspring: Size = sized(natural=21)  # mutants of each generation; null under a cap, which buys both two to one
    needs_absolute = False

    def __post_init__(self) -> None:
        self.check(schedule=SHARES, subset=SHARE, population=1, offspring=0)
        Mix(self.mutation)

    def minimum_calls(self, image: Image) -> int:
        return 1

    def sized_for(self, cap: int, image: Image) -> Self:
        sampling, prices = image.price(image.cost(), calls=1), self._prices(image)
        population = max(1, int(cap / (sampling + sum(prices) / 2)))
        return replace(self, population=population, offspring=max(spread(cap - population * sampling, prices, inf)))

    def run(self, image: Image) -> Coroutine:
        stops = self._stops(image)
        pools: dict[int, Pool] = {stop: [] for stop in stops}
        yield from sampled(image, image.start(self.population), pools)
        sizes = spread(image.left, self._prices(image), self.offspring)
        for stop, size in zip(stops, sizes, strict=True):
            parents = winners(pools.pop(stop), self.subset, size, image)
            if stop:
                mutants = image.jitter(parents, sqrt(ancestral_variance(image.grid[stop], image.grid[stop + 1], 1.0)))
            else:
                mutants = [image.move(parent, Mix(self.mutation), fresh=True)[0] for parent in parents]
            yield from sampled(image, mutants, pools)

    def _prices(self, image: Image) -> list[int]:
        """Return the price of one mutant of each generation."""
        return [image.price(image.cost(image.grid[stop]), calls=1) for stop in self._stops(image)]

    def _stops(self, image: Image) -> list[int]:
        return sorted({min(round(share * image.steps), image.steps - 1) for share in self.schedule})
