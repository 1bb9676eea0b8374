"""Beam search over denoising: TreeG with the value of the current state (Guo et al. 2025, arXiv:2502.11420)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from math import ceil
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.branching import Branching, horizon
from its.search.parts.rules import STEPS
from its.search.parts.spread import branchings
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class Beam(Search):
    """At every branching step draw children of A states, and keep the best A of all.

    NFE = A samplings + A (K - 1) times the branching steps, and with a lookahead A K (T' - 1) times them besides; with
    one beam it is SVDD. What a step can pay for besides whole rounds goes to the best beams.
    """

    beams: int = 2  # A; fewer where the cap pays for fewer samplings
    every: float = 1  # branch at every so many steps (>= 1), or after every such share of the sampling (< 1)
    lookahead: int = 1  # T', evaluations of a way without noise to the x0_hat that scores a child; 1 is the child's own
    children: Size = sized(natural=4)  # K of each beam; null under a cap, which is spread over the branching steps
    needs_absolute = False
    needs_noise = True
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(beams=1, every=STEPS, lookahead=1, children=1)

    @property
    def looks_ahead(self) -> bool:
        return self.lookahead > 1

    def minimum_calls(self, image: Image) -> int:
        return len(branchings(image, self.every)) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        plan = self.plan(image)
        fewer = ((ahead, n) for ahead in (True, False) for n in range(self.beams, 0, -1))
        beams = next((n for ahead, n in fewer if plan.least(self.widths(n, plan), ahead=ahead) <= cap), 1)
        widths = self.widths(beams, plan)
        rounds = sum(n * price for n, price in zip(widths, plan.children, strict=False))
        children = 1 + ceil((cap - plan.least(widths, ahead=False)) / rounds) if rounds else 1
        return replace(self, beams=beams, children=children)

    def run(self, image: Image) -> Coroutine:
        beams, plan = image.start(self.beams), self.plan(image)
        widths = self.widths(self.beams, plan)
        further = plan.further(widths, self.most(plan, widths))
        for i, width, more in zip(plan.steps, widths[1:], further, strict=True):
            if beams[0].level != image.grid[i]:
                beams = yield advance(beams, to=image.grid[i])
            children = yield advance([*islice(cycle(beams), len(beams) + more)], to=image.grid[i + 1])
            scored = children
            if self.looks_ahead and len(children) > width:
                end = horizon(image, image.grid[i + 1], self.lookahead)
                scored = yield advance(children, to=end, steps=self.lookahead - 1, deterministic=True)
            ranked = image.best(range(len(children)), (yield reward(scored)))
            beams = [children[k] for k in self.heirs(ranked, len(beams))[:width]]
        yield reward((yield advance(beams)))

    def plan(self, image: Image) -> Branching:
        """Return where beams branch, and at which prices."""
        return Branching(image, branchings(image, self.every), self.lookahead)

    def widths(self, beams: int, plan: Branching) -> list[int]:
        """Return the number of beams before each branching, of so many at the start, and at the end; it never rises."""
        return [self.width(beams, i, plan.image) for i in (0, *(i + 1 for i in plan.steps))]

    def width(self, beams: int, step: int, image: Image) -> int:
        """Return the number of beams at a level of the grid, of so many at the start."""
        return beams

    def most(self, plan: Branching, widths: Sequence[int]) -> list[int]:
        """Return how many further children to draw at each branching, at most."""
        return [n * (self.children - 1) for n in widths[:-1]]

    def heirs(self, ranked: Sequence[int], beams: int) -> Sequence[int]:
        """Return which of the children may go on, best first; child k is one of beam `k % beams`."""
        return ranked
