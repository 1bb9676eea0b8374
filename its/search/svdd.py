"""SVDD: value-based importance sampling in its greedy form (Li et al. 2024, arXiv:2408.08252).

Rule of the authors' code (SVDD-PM): the value of a state is the reward of its x0_hat, the best child is kept.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.rules import STEPS
from its.search.parts.spread import branchings, plain_price, prices, spread
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class SVDD(Search):
    """At every branching step draw M children of the one state and go on from the best.

    NFE = one sampling + (M - 1) times the branching steps: children share their parent's evaluation, and the guess by
    which the best was chosen is the one that its next step needs. The last step makes the image and does not branch.
    """

    every: float = 1  # branch at every so many steps (>= 1), or after every such share of the sampling (< 1)
    children: Size = sized(natural=20)  # M; null under a cap, which is spread over the branching steps
    needs_absolute = False
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(every=STEPS, children=1)

    @property
    def needs_noise(self) -> bool:
        return self.children != 1

    def minimum_calls(self, image: Image) -> int:
        return len(branchings(image, self.every)) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        steps = branchings(image, self.every)
        costs = prices(image, steps)
        return replace(self, children=1 + ceil((cap - plain_price(image, steps)) / sum(costs)) if costs else 1)

    def run(self, image: Image) -> Coroutine:
        [particle] = image.start()
        steps = branchings(image, self.every)
        further = spread(image.left - plain_price(image, steps), prices(image, steps), self.children - 1)
        for i, more in zip(steps, further, strict=True):
            [particle] = yield advance([particle], to=image.grid[i])
            children = yield advance([particle] * (1 + more), to=image.grid[i + 1])
            [particle] = image.best(children, (yield reward(children)), 1)
        yield reward((yield advance([particle])))
