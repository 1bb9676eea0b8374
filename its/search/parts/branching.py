"""Beams that branch at some steps of a sampling, and may be fewer after each: their prices, and what a cap buys them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from its.levels import Level
from its.particles.image import Image
from its.search.parts.spread import prices


def horizon(image: Image, level: Level, lookahead: int) -> Level:
    """Return where the last of so many evaluations stands that lie evenly in time from a level to the image."""
    return level if lookahead == 1 or level.time <= 0 else image.level(level.time / (image.grid[0].time * lookahead))


@dataclass(frozen=True)
class Branching:
    """Steps at which beams branch, and their number before each and at the end, which never rises.

    Every child is scored: by its guess, or, where some are dropped, by that at the end of a lookahead.

    Attributes:
        steps: of the grid, ascending.
        lookahead: evaluations on the way to what scores a child; the first is its own guess.
    """

    image: Image
    steps: Sequence[int]
    widths: Sequence[int]
    lookahead: int

    @property
    def children(self) -> list[int]:
        """The price of one more child at each step, scored by its guess."""
        return prices(self.image, self.steps)

    @property
    def lookaheads(self) -> list[int]:
        """The price of one lookahead from the end of each step, besides the guess there."""
        return [self._lookahead(self.image.grid[i + 1]) for i in self.steps]

    def least(self, *, ahead: bool) -> int:
        """Return the price without further children.

        Args:
            ahead: whether every child is looked ahead from, or those alone of which some are dropped.
        """
        image, legs = self.image, []
        stops = [image.grid[0], *(image.grid[i + 1] for i in self.steps), image.grid[-1]]
        for k, (t, s) in enumerate(pairwise(stops)):
            known = image.cost_of_guess(t) if k else 0
            legs.append(image.price(image.cost(t, s) - known + image.cost_of_guess(s), calls=1))
        looked = [n if ahead or n > kept else 0 for n, kept in pairwise(self.widths)]
        return _product(self.widths, legs) + _product(looked, self.lookaheads)

    def further(self, most: Sequence[int]) -> list[int]:
        """Return how many further children `image.left` buys at each step, in proportion to the most there.

        Where beams are not dropped anyway, the first of them makes all children be looked ahead from, if that is more
        than their guess. Remainders move on to later steps.
        """
        budget, further = self.image.left - self.least(ahead=False), []
        each = [child + ahead for child, ahead in zip(self.children, self.lookaheads, strict=True)]
        kept = zip(pairwise(self.widths), self.lookaheads, strict=True)
        first = [n * price if n == after else 0 for (n, after), price in kept]
        for k, most_here in enumerate(most):
            share = most_here * (budget - sum(first[k:]))
            bought = int(min(most_here, share / _product(most[k:], each[k:]))) if share > 0 else 0
            budget -= bought * each[k] + (first[k] if bought else 0)
            further.append(bought)
        return further

    def _lookahead(self, level: Level) -> int:
        end = horizon(self.image, level, self.lookahead)
        if end == level:
            return 0
        nfe = self.image.cost(level, end, self.lookahead - 1) + self.image.cost_of_guess(end)
        return self.image.price(nfe - self.image.cost_of_guess(level), calls=0)


def _product(counts: Sequence[int], prices: Sequence[int]) -> int:
    return sum(count * price for count, price in zip(counts, prices, strict=True))
