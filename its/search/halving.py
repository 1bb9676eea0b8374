"""Halving: N starting points, of which the better half goes on, again and again (ours).

A measured form of early stopping of best-of-N (arXiv:2512.08985, 2511.22242), which goes on above a threshold.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from its.levels import Level
from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.rules import SHARES
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class Halving(Search):
    """Denoise N particles together; at some levels keep the half, rounded up, whose guesses there are better.

    NFE = what the particles left take between levels, and one guess for each that is dropped: a survivor's is the one
    that its next step needs.
    """

    halve_at: Sequence[float] = (0.25, 0.5, 0.75)  # in shares of the sampling
    particles: Size = sized(natural=8)  # N; null under a cap
    needs_absolute = False
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(halve_at=SHARES, particles=1)

    def minimum_calls(self, image: Image) -> int:
        return 1

    def sized_for(self, cap: int, image: Image) -> Self:
        numbers = range(1, cap + 1)
        return replace(self, particles=bisect_right(numbers, cap, key=lambda n: self._price(n, image)))

    def run(self, image: Image) -> Coroutine:
        particles = image.start(self.particles)
        for level in self._levels(image):
            if len(particles) > 1:
                particles = yield advance(particles, to=level)
                particles = image.best(particles, (yield reward(particles)), _half(len(particles)))
        yield reward((yield advance(particles)))

    def _levels(self, image: Image) -> list[Level]:
        stops = {min(round(share * image.steps), image.steps - 1) for share in self.halve_at}
        return [image.grid[stop] for stop in sorted(stops)]

    def _price(self, n: int, image: Image) -> int:
        """Return the price of beginning with n particles."""
        nfe, calls, start = 0, 0, image.grid[0]
        for level in self._levels(image):
            if n > 1:
                nfe += n * image.cost(start, level) + (n - _half(n)) * image.cost_of_guess(level)
                calls += n
                n, start = _half(n), level
        return image.price(nfe + n * image.cost(start), calls + n)


def _half(n: int) -> int:
    return (n + 1) // 2
