"""How a planned search spends what one plain sampling leaves: evenly over the steps at which it branches."""

from __future__ import annotations

from collections.abc import Sequence

from its.image import Image


def branchings(image: Image, every: float) -> range:
    """Steps whose children separate: every so many, but for the last, which draws no noise."""
    return range(0, image.steps - 1, image.in_steps(every))


def prices(image: Image, steps: Sequence[int]) -> list[int]:
    """NFE of each of these steps."""
    return [image.cost(image.grid[i], image.grid[i + 1]) for i in steps]


def spread(budget: float, prices: Sequence[float], most: float) -> list[int]:
    """How many to buy at each price, at most `most`, so that the budget lasts; what is left over moves on."""
    bought = []
    for turn, price in enumerate(prices):
        bought.append(int(min(most, budget / sum(prices[turn:]))))
        budget -= bought[-1] * price
    return bought
