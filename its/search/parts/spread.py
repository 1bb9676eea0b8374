"""Spending of a planned search's cap, evenly over the steps at which it branches or over its rounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from its.levels import Level
from its.particles.image import Image


def branchings(image: Image, every: float) -> range:
    """Return the steps to branch at, `every` so many; never the last, which makes the image."""
    return range(0, image.steps - 1, image.in_steps(every))


def prices(image: Image, steps: Sequence[int]) -> list[int]:
    """Return the price of one more child at each of these steps, scored by its guess.

    It shares the evaluation at which the step begins with its siblings, and has one of its own where the step ends.
    """
    prices = []
    for t, s in ((image.grid[i], image.grid[i + 1]) for i in steps):
        nfe = image.cost(t, s) - image.cost_of_guess(t) + image.cost_of_guess(s)
        prices.append(image.price(nfe, calls=1))
    return prices


def plain_price(image: Image, steps: Sequence[int]) -> int:
    """Return the price of one sampling that is scored at each of these steps and at its end."""
    return image.price(image.cost(), calls=len(steps) + 1)


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
    legs = image.price(image.cost(to=low) + image.cost(low), calls=1)
    for n in range(paths, 0, -1):
        rounds = sum(n * (legs + 2 * price) <= image.left for price in accumulate(prices))
        if rounds:
            return n, rounds
    return int(min(paths, image.left / image.price(image.cost(), calls=1))), 0
