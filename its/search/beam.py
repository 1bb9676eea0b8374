"""Beam search over denoising: TreeG with the value of the current state (Guo et al. 2025, arXiv:2502.11420)."""

from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.check import STEPS, check
from its.search.search import Coroutine, Search, Size
from its.search.spread import branchings, prices, spread


@dataclass(frozen=True)
class Beam(Search):
    """At every branching step draw children of A states, and keep the best A of all.

    NFE = A samplings + A (K - 1) times the branching steps; with one beam it is SVDD. What a step can pay for besides
    whole rounds goes to the best beams.
    """

    beams: int = 2  # A; fewer where the cap pays for fewer samplings
    every: float = 1  # branch at every so many steps (>= 1), or after every such share of the sampling (< 1)
    children: Size = None  # K of each beam; null under a cap, which is spread over the branching steps
    needs_absolute = False
    natural: ClassVar[dict[str, int]] = {"children": 4}
    needs_noise = True

    def __post_init__(self) -> None:
        check(self, beams=1, every=STEPS, children=1)

    def plan(self, nfe: int, image: Image) -> Self:
        beams = int(min(self.beams, nfe // image.cost()))
        costs = prices(image, branchings(image, self.every))
        children = 1 + ceil((nfe - beams * image.cost()) / (beams * sum(costs))) if costs else 1
        return replace(self, beams=beams, children=children)

    def run(self, image: Image) -> Coroutine:
        beams = image.start(self.beams)
        steps = branchings(image, self.every)
        spare = image.left - self.beams * image.cost()
        further = spread(spare, prices(image, steps), self.beams * (self.children - 1))
        for i, more in zip(steps, further, strict=True):
            beams = yield advance(beams, to=image.grid[i])
            children = yield advance((beams * self.children)[: self.beams + more], to=image.grid[i + 1])
            beams = image.best(children, (yield reward(children)), self.beams)
        yield reward((yield advance(beams)))
