"""Noise-trajectory search, epsilon-greedy (Ramesh and Mardani 2025, arXiv:2506.03164).

Rule of the authors' code (diffusion-tts).

Deviation: a local candidate keeps its pivot's norm, which grows in the original; the pivot is itself scored, gives
way only to a better candidate, and its step is not taken again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Self

from its.image import Image
from its.moves import Ball
from its.search.check import at_least
from its.search.svdd import branchings
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class EpsGreedy:
    """At every step search for the noise that the step draws: near the best so far, or with luck far from it.

    NFE = one sampling + the candidates of all steps but the last, which draws no noise.

    Attributes:
        radius: lambda; local candidates lie within lambda sqrt(d) of the pivot.
        epsilon: probability that a candidate is fresh noise.
        candidates: N of each round.
        rounds: K at every step; null under a cap, which is spread over the steps.
    """

    radius: float = 0.15
    epsilon: float = 0.4
    candidates: int = 4
    rounds: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"rounds": 20}
    needs_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        Ball(self.radius)
        at_least(0, self, "epsilon", "rounds")
        at_least(1, self, "candidates")

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (2 + self.candidates)

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        return replace(self, rounds=ceil((nfe - image.cost()) / self.candidates))

    def run(self, image: Image) -> Coroutine:
        assert self.rounds is not None
        [particle] = image.start()
        spare = image.left - image.cost()
        steps = branchings(image, 1)
        for turn, i in enumerate(steps):
            price = image.cost(image.grid[i], image.grid[i + 1])
            tries = int(min(self.rounds * self.candidates, spare / (price * (len(steps) - turn))))
            spare -= tries * price
            [pivot] = image.noise()
            [taken] = yield advance([particle], to=image.grid[i + 1], noise=[pivot])
            [best] = yield reward([taken])
            while tries:
                coins = image.random.uniform(min(tries, self.candidates))
                far, near = image.noise, lambda pivot=pivot: image.move(pivot, Ball(self.radius))
                noises = [(far() if coin < self.epsilon else near())[0] for coin in coins]
                children = yield advance([particle] * len(noises), to=image.grid[i + 1], noise=noises)
                rewards = yield reward(children)
                tries -= len(noises)
                if max(rewards) > best:
                    k = rewards.index(max(rewards))
                    pivot, taken, best = noises[k], children[k], rewards[k]
            particle = taken
        [particle] = yield advance([particle])
        yield reward([particle])
        return particle
