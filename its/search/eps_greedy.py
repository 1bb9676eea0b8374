"""Noise-trajectory search, epsilon-greedy (Ramesh and Mardani 2025, arXiv:2506.03164), as in their diffusion-tts."""

from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from typing import Self

from its.particles.image import Image
from its.particles.moves import Ball
from its.particles.verbs import advance, reward
from its.search.parts.bands import generations
from its.search.parts.spread import branchings, plain_price, prices, spread
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class EpsGreedy(Search):
    """Search at every step but the last for its noise: near the best so far, or with probability epsilon anywhere.

    NFE = one sampling + the candidates of all steps.
    Deviation: a local candidate keeps its pivot's norm; the pivot is scored, and gives way only to a better candidate.
    """

    radius: float = 0.15  # lambda; local candidates lie within lambda sqrt(d) of the pivot
    epsilon: float = 0.4  # probability that a candidate is fresh noise
    candidates: int = 4  # N of each round
    rounds: Size = sized(natural=20)  # K at every step; null under a cap, which is spread over the steps
    needs_absolute = False
    needs_noise = True
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(epsilon=0, candidates=1, rounds=0)
        Ball(self.radius)

    def minimum_calls(self, image: Image) -> int:
        return len(branchings(image, 1)) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        return replace(self, rounds=ceil((cap - plain_price(image, branchings(image, 1))) / self.candidates))

    def run(self, image: Image) -> Coroutine:
        # Spread the cap over the steps, and toss all coins.
        [particle], near = image.start(), Ball(self.radius)
        steps = branchings(image, 1)
        tries = spread(image.left - plain_price(image, steps), prices(image, steps), self.rounds * self.candidates)
        coins = iter((image.random.uniform(sum(tries)) < self.epsilon).tolist())
        for i, candidates in zip(steps, tries, strict=True):
            # The pivot is judged with its first candidates.
            [pivot] = noises = image.noise()
            best: list = []
            for size in list(generations(self.candidates, candidates)) or [0]:
                far = sum(islice(coins, size))
                noises = noises + image.noise(far) + image.move(pivot, near, size - far)
                children = yield advance([particle] * len(noises), to=image.grid[i + 1], noise=noises)
                best += zip((yield reward(children)), noises, children, strict=True)
                [(_, pivot, child)] = best = image.best(best, [rewarded for rewarded, _, _ in best], 1)
                noises = []
            particle = child
        yield reward((yield advance([particle])))
