"""Beam search over denoising: TreeG with the value of the current state (Guo et al. 2025, arXiv:2502.11420)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Self

from its.image import Image
from its.search.check import at_least, steps_or_shares
from its.search.svdd import branchings
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class Beam:
    """At every branching step draw children of A states, and keep the best A of all.

    NFE = A samplings + A (K - 1) times the branching steps; with one beam it is SVDD.

    Attributes:
        beams: A; fewer where the cap pays for fewer samplings.
        every: branch at every so many steps (>= 1), or after every such share of the sampling (< 1).
        children: K of each beam; null under a cap, which is spread over the branching steps. What a step
            can pay for besides whole rounds goes to the best beams.
    """

    beams: int = 2
    every: float = 1
    children: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"children": 4}
    needs_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        steps_or_shares(self, "every")
        at_least(1, self, "beams", "children")

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * self.beams * (1 + (self.children or 1))

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        beams = int(min(self.beams, nfe // image.cost()))
        prices = [beams * image.cost(image.grid[i], image.grid[i + 1]) for i in branchings(image, self.every)]
        children = 1 + ceil((nfe - beams * image.cost()) / sum(prices)) if prices else 1
        return replace(self, beams=beams, children=children)

    def run(self, image: Image) -> Coroutine:
        assert self.children is not None
        beams = image.start(self.beams)
        spare = image.left - len(beams) * image.cost()
        steps = branchings(image, self.every)
        for turn, i in enumerate(steps):
            beams = yield advance(beams, to=image.grid[i])
            price = image.cost(image.grid[i], image.grid[i + 1])
            further = int(min(len(beams) * (self.children - 1), spare / (price * (len(steps) - turn))))
            spare -= further * price
            children = yield advance((beams * self.children)[: len(beams) + further], to=image.grid[i + 1])
            rewards = yield reward(children)
            ranked = sorted(range(len(children)), key=lambda k: -rewards[k])
            beams = [children[k] for k in ranked[: self.beams]]
        yield reward((yield advance(beams)))
        return None
