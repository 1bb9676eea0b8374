"""Noise-trajectory search, epsilon-greedy (Ramesh and Mardani 2025, arXiv:2506.03164), as in their diffusion-tts."""

from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import ClassVar, Self

from its.particles.image import Image
from its.particles.moves import Ball
from its.particles.verbs import advance, reward
from its.search.bands import generations
from its.search.check import check
from its.search.search import Coroutine, Search, Size
from its.search.spread import branchings, prices, spread


@dataclass(frozen=True)
class EpsGreedy(Search):
    """At every step but the last search for the noise that it draws: near the best so far, or with luck far from it.

    NFE = one sampling + the candidates of all steps.
    Deviation: a local candidate keeps its pivot's norm; the pivot is scored, and gives way only to a better candidate.
    """

    radius: float = 0.15  # lambda; local candidates lie within lambda sqrt(d) of the pivot
    epsilon: float = 0.4  # probability that a candidate is fresh noise
    candidates: int = 4  # N of each round
    rounds: Size = None  # K at every step; null under a cap, which is spread over the steps
    needs_absolute = False
    natural: ClassVar[dict[str, int]] = {"rounds": 20}
    needs_noise = True

    def __post_init__(self) -> None:
        Ball(self.radius)
        check(self, epsilon=0, candidates=1, rounds=0)

    def plan(self, nfe: int, image: Image) -> Self:
        return replace(self, rounds=ceil((nfe - image.cost()) / self.candidates))

    def run(self, image: Image) -> Coroutine:
        [particle], near = image.start(), Ball(self.radius)
        steps = branchings(image, 1)
        tries = spread(image.left - image.cost(), prices(image, steps), self.rounds * self.candidates)
        coins = iter((image.random.uniform(sum(tries)) < self.epsilon).tolist())
        for i, left in zip(steps, tries, strict=True):
            [pivot] = noises = image.noise()
            found: list = []
            for size in list(generations(self.candidates, left)) or [0]:
                far = sum(islice(coins, size))
                noises = noises + image.noise(far) + image.move(pivot, near, size - far)
                children = yield advance([particle] * len(noises), to=image.grid[i + 1], noise=noises)
                found += zip((yield reward(children)), noises, children, strict=True)
                [(_, pivot, taken)] = found = image.best(found, [rewarded for rewarded, _, _ in found], 1)
                noises = []
            particle = taken
        yield reward((yield advance([particle])))
