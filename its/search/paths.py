"""Search over paths (Ma et al. 2025, arXiv:2501.09732, section 3.2 and appendix A.3)."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

from its.levels import Level
from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.rules import STEPS
from its.search.parts.spread import rounds_of_two, spread
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class Paths(Search):
    """Go down to low noise; again and again add much noise, denoise a little more than that, keep the best.

    NFE = N first legs + rounds N M (L + 1) + N last legs; the 1 scores a guess. Levels are shares of the top time.
    """

    paths: int = 2  # N; fewer where the cap pays for fewer
    sigma: float = 0.11  # noise level at which the search starts
    forward: float = 0.78  # delta_f, how far up each round goes
    backward: float = 0.81  # delta_b, how far down; above forward
    steps: float = 0.25  # L of each way down, in steps (>= 1) or as a share of the sampling (< 1)
    noises: Size = sized(natural=4)  # M of each path and round; null under a cap: fewer rounds then, M at least 2
    needs_absolute = False
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(paths=1, noises=1, steps=STEPS)
        if not (0 < self.sigma <= 1 - self.forward and self.forward < self.backward):
            raise ValueError(
                f"search.sigma is {self.sigma}, forward {self.forward}, backward {self.backward}; "
                "sigma is above 0, sigma + forward at most 1, and backward above forward"
            )

    def _ups_and_downs(self) -> list[tuple[float, float]]:
        """Return for every round the shares of the top time that it goes up and down to; the last is 0 or less."""
        times, time = [], self.sigma
        for _ in range(ceil(self.sigma / (self.backward - self.forward))):
            times.append((time + self.forward, time := time + (self.forward - self.backward)))
        return times

    def _prices(self, image: Image) -> list[int]:
        """Return the price of one noise in every round, at most: of its way down, and of the guess there."""
        prices, steps, start = [], image.in_steps(self.steps), self.sigma
        for up, down in self._ups_and_downs():
            top = image.level(min(up, 1 - 1e-12))  # where a noised particle, which is no starting point, may stand
            low = image.level(down if down > 0 else start)
            scored = image.cost(top, low, steps) + image.cost_of_guess(low)
            prices.append(image.price(max(scored, image.cost(top, image.level(down), steps)), calls=1))
            start = down
        return prices

    def noisiest_scored(self, image: Image) -> Level:
        return image.level(max(0.0, self._ups_and_downs()[0][1]))

    def minimum_calls(self, image: Image) -> int:
        return 1

    def sized_for(self, cap: int, image: Image) -> Self:
        return replace(self, noises=max(4, ceil(cap / (self.paths * sum(self._prices(image))))))

    def run(self, image: Image) -> Coroutine:
        steps, low, prices = image.in_steps(self.steps), image.level(self.sigma), self._prices(image)
        paths, rounds = rounds_of_two(image, low, prices, self.paths)
        particles = image.start(paths)
        if rounds:
            particles = yield advance(particles, to=low)
        last = image.price(image.cost(low), calls=1)
        counts = spread(image.left - paths * last, prices[:rounds], paths * self.noises)
        for n, (up, down) in zip(counts, self._ups_and_downs(), strict=False):
            noised = image.renoise((particles * self.noises)[:n], image.level(up))
            children = yield advance(noised, to=image.level(down), steps=steps)
            particles = image.best(children, (yield reward(children)), paths)
        yield reward((yield advance(particles)))
