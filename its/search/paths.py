"""Search over paths (Ma et al. 2025, arXiv:2501.09732, section 3.2 and appendix A.3)."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

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

    @property
    def _rounds(self) -> int:
        return ceil(self.sigma / (self.backward - self.forward))

    def minimum_calls(self, image: Image) -> int:
        return 1

    def sized_for(self, cap: int, image: Image) -> Self:
        noise = image.price((1 + image.in_steps(self.steps)) * image.cost(image.grid[-2]), calls=1)
        return replace(self, noises=max(4, ceil(cap / (self._rounds * self.paths * noise))))

    def run(self, image: Image) -> Coroutine:
        steps, low, time = image.in_steps(self.steps), image.level(self.sigma), self.sigma
        noise = image.cost(image.level(self.sigma + self.forward), low, steps) + image.cost(image.grid[-2])
        price = image.price(noise, calls=1)
        paths, rounds = rounds_of_two(image, low, price, self.paths, self._rounds)
        particles = image.start(paths)
        if rounds:
            particles = yield advance(particles, to=low)
        last = image.price(image.cost(low), calls=1)
        for n in spread(image.left - paths * last, [price] * rounds, paths * self.noises):
            noised = image.renoise((particles * self.noises)[:n], image.level(time + self.forward))
            time += self.forward - self.backward
            children = yield advance(noised, to=image.level(time), steps=steps)
            particles = image.best(children, (yield reward(children)), paths)
        yield reward((yield advance(particles)))
