"""RBF: rollover budget forcing (Kim et al. 2025, arXiv:2503.19385).

Rule of the authors' code (KAIST Flow-Inference-Time-Scaling) for one image at a time.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.spread import price_of_child
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class RBF(Search):
    """Try children one by one; go on from the first that beats all before, and roll the tries it saved over.

    A pool of starting points first; then every step has the same quota of tries. The last step, whose guess is the
    image, tries until all is spent.
    """

    pool: float = 0.05  # share of the budget for starting points, one evaluation each
    nfe: Size = sized(natural=500)  # the budget; null under a cap
    needs_noise = True

    def __post_init__(self) -> None:
        self.check(pool=0, nfe=1)

    def sized_for(self, nfe: int, image: Image) -> Self:
        return replace(self, nfe=nfe)

    def run(self, image: Image) -> Coroutine:
        # A pool of starting points; the best one goes on.
        guess = image.cost_of_guess(image.grid[0])
        rest = image.cost() - guess
        tried = image.start(int(max(1, min(self.pool * self.nfe, self.nfe - rest) / guess)))
        rewards = yield reward(tried)
        best = max(rewards)
        particle = tried[rewards.index(best)]
        # Every step has a quota of tries; what tries are saved of it rolls over, by their price.
        budget = self.nfe - len(tried) * guess
        quota = budget // rest if rest else 0
        saved = 0
        for i in range(image.steps - 1):
            price, last = price_of_child(image, image.grid[i], image.grid[i + 1]), i == image.steps - 2
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
