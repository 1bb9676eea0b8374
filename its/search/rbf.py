"""RBF: rollover budget forcing (Kim et al. 2025, arXiv:2503.19385).

Rule of the authors' code (KAIST Flow-Inference-Time-Scaling) for one image at a time.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.spread import branchings, prices
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class RBF(Search):
    """Try children one by one; go on from the first that beats all before, and roll the tries it saved over.

    A pool of starting points first; then every step has the same quota of tries. The last step, whose guess is the
    image, tries until all is spent.
    """

    pool: float = 0.05  # share of the budget for starting points, one evaluation each
    nfe: Size = sized(natural=500)  # the budget; null under a cap, in NFE or verifier calls
    needs_noise = True
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(pool=0, nfe=1)

    def minimum_calls(self, image: Image) -> int:
        return image.steps + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        return replace(self, nfe=cap)

    def run(self, image: Image) -> Coroutine:
        # Put by the last step: a call, and what a recurrence evaluates beyond the guess.
        end, tries = image.grid[-2], prices(image, branchings(image, 1))
        budget = self.nfe - image.price(image.cost(end) - image.cost_of_guess(end), calls=1)
        # A pool of starting points; the best one goes on.
        guess, rest = image.price(image.cost_of_guess(image.grid[0]), calls=1), sum(tries)
        tried = image.start(int(max(1, min(self.pool * budget, budget - rest) / guess)))
        rewards = yield reward(tried)
        best = max(rewards)
        particle = tried[rewards.index(best)]
        # Every step has a quota of tries; what is saved of them rolls over, by its price.
        budget -= len(tried) * guess
        quota = budget // rest if rest else 0
        saved = 0
        for i, price in enumerate(tries):
            last = i == image.steps - 2
            saved = budget if last else saved + quota * price
            child, top = particle, -inf
            while saved >= price and (last or top <= best):
                tried = yield advance([particle], to=image.grid[i + 1])
                [rewarded] = yield reward(tried)
                saved, budget = saved - price, budget - price
                if rewarded > top or child is particle:
                    child, top = tried[0], rewarded
            particle, best = child, max(best, top)
        yield reward((yield advance([particle])))
