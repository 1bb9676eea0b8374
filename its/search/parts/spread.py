"""Spending of a planned search's cap, evenly over the steps at which it branches or over its rounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from its.levels import Level
from its.particles.image import Image


def branchings(image: Image, every: float) -> range:
    """Return the steps to branch at, `every` so many; never the last, which draws no noise."""
    return range(0, image.steps - 1, image.in_steps(every))


def prices(image: Image, steps: Sequence[int]) -> list[int]:
    """Return for each of these steps the NFE of one more child whose guess is scored.

    It shares the evaluation at which the step begins with its siblings, and needs one of its own where it ends.
    """
    return [price_of_child(image, image.grid[i], image.grid[i + 1]) for i in steps]


def price_of_child(image: Image, parent: Level, child: Level) -> int:
    """Return the NFE of one more child, at one level, of an evaluated parent at another, and of its guess."""
    return image.cost(parent, child) - image.cost_of_guess(parent) + image.cost_of_guess(child)


def spread(budget: float, prices: Sequence[float], most: float) -> list[int]:
    """Return how many to buy at each price, at most `most`, so that the budget lasts; remainders move on."""
    bought = []
    for turn, price in enumerate(prices):
        bought.append(int(min(most, budget / sum(prices[turn:]))))
        budget -= bought[-1] * price
    return bought


def rounds_of_two(image: Image, low: Level, prices: Sequence[int], paths: int) -> tuple[int, int]:
    """Return the number of paths, and of rounds of at least two noises for each, that `image.left` pays for.

    A noise costs what `prices` says of its round; a path besides, the way down to `low` and on. With no round there are
    plain samplings.
    """
    legs = image.cost(to=low) + image.cost(low)
    for n in range(paths, 0, -1):
        rounds = sum(n * (legs + 2 * price) <= image.left for price in accumulate(prices))
        if rounds:
            return n, rounds
    return int(min(paths, image.left / image.cost())), 0
