"""RBF: rollover budget forcing (Kim et al. 2025, arXiv:2503.19385).

Rule of the authors' code (KAIST Flow-Inference-Time-Scaling) for one image at a time.
"""

from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.check import check
from its.search.search import Coroutine, Search, Size


@dataclass(frozen=True)
class RBF(Search):
    """Try children one by one; the first that beats all before it is taken, and what it saved rolls over.

    A pool of starting points first; then every step has the same quota of tries. The last step, whose guess is the
    image, tries until all is spent.
    """

    pool: float = 0.05  # share of the budget for starting points, one evaluation each
    nfe: Size = None  # the budget; null under a cap
    natural: ClassVar[dict[str, int]] = {"nfe": 500}
    needs_noise = True

    def __post_init__(self) -> None:
        check(self, pool=0, nfe=1)

    def plan(self, nfe: int, image: Image) -> Self:
        return replace(self, nfe=nfe)

    def run(self, image: Image) -> Coroutine:
        guess = image.cost(image.grid[-2])
        rest = image.cost() - guess
        tried = image.start(int(max(1, min(self.pool * self.nfe, self.nfe - rest) / guess)))
        rewards = yield reward(tried)
        best = max(rewards)
        particle = tried[rewards.index(best)]
        left = self.nfe - len(tried) * guess
        quota = int(left // rest) if rest else 0
        saved = 0
        for i in range(image.steps - 1):
            price, last = image.cost(image.grid[i], image.grid[i + 1]), i == image.steps - 2
            saved = int(left // price) if last else saved + quota
            taken, top = particle, -inf
            while saved and (last or top <= best):
                tried = yield advance([particle], to=image.grid[i + 1])
                [rewarded] = yield reward(tried)
                saved, left = saved - 1, left - price
                if rewarded > top or taken is particle:
                    taken, top = tried[0], rewarded
            particle, best = taken, max(best, top)
        yield reward((yield advance([particle])))
