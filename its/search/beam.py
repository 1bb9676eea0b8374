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
        fewer = [replace(self, beams=n) for n in range(self.beams, 0, -1)]
        affordable = (each for ahead in (True, False) for each in fewer if each.plan(image).least(ahead=ahead) <= cap)
        search = next(affordable, fewer[-1])
        plan = search.plan(image)
        rounds = sum(n * price for n, price in zip(plan.widths, plan.children, strict=False))
        return replace(search, children=1 + ceil((cap - plan.least(ahead=False)) / rounds) if rounds else 1)

    def run(self, image: Image) -> Coroutine:
        beams, plan = image.start(self.beams), self.plan(image)
        for i, width, further in zip(plan.steps, plan.widths[1:], plan.further(self.most(plan)), strict=True):
            beams = yield advance(beams, to=image.grid[i])
            children = yield advance([*islice(cycle(beams), len(beams) + further)], to=image.grid[i + 1])
            scored = children
            if self.looks_ahead and len(children) > width:
                end = horizon(image, image.grid[i + 1], self.lookahead)
                scored = yield advance(children, to=end, steps=self.lookahead - 1, deterministic=True)
            ranked = image.best(range(len(children)), (yield reward(scored)))
            beams = [children[k] for k in self.heirs(ranked, len(beams))[:width]]
        yield reward((yield advance(beams)))

    def plan(self, image: Image) -> Branching:
        """Return where beams branch, and how many there are."""
        steps = branchings(image, self.every)
        return Branching(image, steps, [self.width(i, image) for i in (0, *(i + 1 for i in steps))], self.lookahead)

    def width(self, step: int, image: Image) -> int:
        """Return the number of beams at a level of the grid."""
        return self.beams

    def most(self, plan: Branching) -> list[int]:
        """Return how many further children to draw at each branching, at most."""
        return [n * (self.children - 1) for n in plan.widths[:-1]]

    def heirs(self, ranked: Sequence[int], beams: int) -> Sequence[int]:
        """Return which of the children may go on, best first; child k is one of beam `k % beams`."""
        return ranked
