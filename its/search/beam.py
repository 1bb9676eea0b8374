"""Beam search over denoising: TreeG with the value of the current state (Guo et al. 2025, arXiv:2502.11420)."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.rules import STEPS
from its.search.parts.spread import branchings, plain_price, prices, spread
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class Beam(Search):
    """At every branching step draw children of A states, and keep the best A of all.

    NFE = A samplings + A (K - 1) times the branching steps; with one beam it is SVDD. What a step can pay for besides
    whole rounds goes to the best beams.
    """

    beams: int = 2  # A; fewer where the cap pays for fewer samplings
    every: float = 1  # branch at every so many steps (>= 1), or after every such share of the sampling (< 1)
    children: Size = sized(natural=4)  # K of each beam; null under a cap, which is spread over the branching steps
    needs_absolute = False
    needs_noise = True
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(beams=1, every=STEPS, children=1)

    def minimum_calls(self, image: Image) -> int:
        return len(branchings(image, self.every)) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        steps = branchings(image, self.every)
        plain, costs = plain_price(image, steps), prices(image, steps)
        beams = int(min(self.beams, cap // plain))
        children = 1 + ceil((cap - beams * plain) / (beams * sum(costs))) if costs else 1
        return replace(self, beams=beams, children=children)

    def run(self, image: Image) -> Coroutine:
        beams = image.start(self.beams)
        steps = branchings(image, self.every)
        spare = image.left - self.beams * plain_price(image, steps)
        further = spread(spare, prices(image, steps), self.beams * (self.children - 1))
        for i, more in zip(steps, further, strict=True):
            beams = yield advance(beams, to=image.grid[i])
            children = yield advance((beams * self.children)[: self.beams + more], to=image.grid[i + 1])
            beams = image.best(children, (yield reward(children)), self.beams)
        yield reward((yield advance(beams)))
