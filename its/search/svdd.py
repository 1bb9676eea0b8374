"""SVDD: value-based importance sampling in its greedy form (Li et al. 2024, arXiv:2408.08252).

Rule of the authors' code (SVDD-PM): the value of a state is the reward of its x0_hat, the best child is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Self

from its.image import Image
from its.search.check import at_least, steps_or_shares
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class SVDD:
    """At every branching step draw M children of the one state and go on from the best.

    NFE = one sampling + (M - 1) times the branching steps: children share their parent's evaluation, and the
    guess by which the best was chosen is the one that its next step needs. The last step is drawn without noise
    and does not branch.

    Attributes:
        every: branch at every so many steps (>= 1), or after every such share of the sampling (< 1).
        children: M; null under a cap, which is spread over the branching steps.
    """

    every: float = 1
    children: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"children": 20}

    def __post_init__(self) -> None:
        steps_or_shares(self, "every")
        at_least(1, self, "children")

    @property
    def needs_noise(self) -> bool:
        return self.children != 1

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (self.children or 1)

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        prices = [image.cost(image.grid[i], image.grid[i + 1]) for i in branchings(image, self.every)]
        return replace(self, children=1 + ceil((nfe - image.cost()) / sum(prices)) if prices else 1)

    def run(self, image: Image) -> Coroutine:
        assert self.children is not None
        [particle] = image.start()
        spare = image.left - image.cost()
        steps = branchings(image, self.every)
        for turn, i in enumerate(steps):
            [particle] = yield advance([particle], to=image.grid[i])
            price = image.cost(image.grid[i], image.grid[i + 1])
            further = int(min(self.children - 1, spare / (price * (len(steps) - turn))))
            spare -= further * price
            children = yield advance([particle] * (1 + further), to=image.grid[i + 1])
            rewards = yield reward(children)
            particle = children[rewards.index(max(rewards))]
        [particle] = yield advance([particle])
        yield reward([particle])
        return particle


def branchings(image: Image, every: float) -> range:
    """Steps whose children separate: every so many, but for the last, which draws no noise."""
    return range(0, image.steps - 1, image.in_steps(every))
