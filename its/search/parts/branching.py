"""Beams that branch at some steps, and may be fewer after each: their prices, and how many children a cap buys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from its.levels import Level
from its.particles.image import Image
from its.search.parts.spread import prices


def horizon(image: Image, level: Level, lookahead: int) -> Level:
    """Return where the last of so many evaluations stands that lie evenly in time from a level to the image."""
    return level if lookahead == 1 or level.time <= 0 else image.level(level.time / (image.grid[0].time * lookahead))


@dataclass(frozen=True)
class Branching:
    """Steps at which beams branch, with their prices.

    Every child is scored: by the guess at the end of a lookahead where some are dropped, else by its own.

    Attributes:
        steps: of the grid, ascending.
        lookahead: evaluations of a lookahead, of which the first is the child's own guess.
    """

    image: Image
    steps: Sequence[int]
    lookahead: int

    @cached_property
    def children(self) -> list[int]:
        """The price of one more child at each step, scored by its guess."""
        return prices(self.image, self.steps)

    @cached_property
    def lookaheads(self) -> list[int]:
        """The price of one lookahead from the end of each step, without the guess there."""
        return [self._lookahead(self.image.grid[i + 1]) for i in self.steps]

    @cached_property
    def guesses(self) -> dict[Level, int]:
        """The NFE of the guess at each level of the grid."""
        return {level: self.image.cost_of_guess(level) for level in self.image.grid}

    @cached_property
    def legs(self) -> list[int]:
        """The price of a beam from the guess at the end of one branching to that of the next, and to the image."""
        image, legs = self.image, []
        stops = [image.grid[0], *(image.grid[i + 1] for i in self.steps), image.grid[-1]]
        for k, (t, s) in enumerate(pairwise(stops)):
            nfe = image.cost(t, s) + self.guesses[s] - (self.guesses[t] if k else 0)
            legs.append(image.price(nfe, calls=1))
        return legs

    def least(self, widths: Sequence[int], *, ahead: bool) -> int:
        """Return the price without further children.

        Args:
            widths: number of beams before each branching, and at the end; it never rises.
            ahead: whether there is a lookahead at every step, or where beams are dropped alone.
        """
        lookaheads = [n if ahead or n > after else 0 for n, after in pairwise(widths)]
        return _product(widths, self.legs) + _product(lookaheads, self.lookaheads)

    def further(self, widths: Sequence[int], most: Sequence[int]) -> list[int]:
        """Return how many further children `image.left` buys at each step, in proportion to the most there.

        With the first of them there is a choice, so that the others are looked ahead from as well. Remainders move on
        to later steps.
        """
        budget, further = self.image.left - self.least(widths, ahead=False), []
        each = [child + ahead for child, ahead in zip(self.children, self.lookaheads, strict=True)]
        pairs = zip(pairwise(widths), self.lookaheads, strict=True)
        others = [n * ahead if n == after else 0 for (n, after), ahead in pairs]
        for k, limit in enumerate(most):
            share = limit * (budget - sum(others[k:]))
            count = int(min(limit, share / _product(most[k:], each[k:]))) if share > 0 else 0
            budget -= count * each[k] + (others[k] if count else 0)
            further.append(count)
        return further

    def _lookahead(self, level: Level) -> int:
        end = horizon(self.image, level, self.lookahead)
        if end == level:
            return 0
        nfe = self.image.cost(level, end, self.lookahead - 1) + self.image.cost_of_guess(end)
        return self.image.price(nfe - self.guesses[level], calls=0)


def _product(counts: Sequence[int], prices: Sequence[int]) -> int:
    return sum(count * price for count, price in zip(counts, prices, strict=True))
