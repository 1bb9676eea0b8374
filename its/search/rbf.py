"""RBF: rollover budget forcing (Kim et al. 2025, arXiv:2503.19385).

Rule of the authors' code (KAIST Flow-Inference-Time-Scaling) for one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar, Self

from its.image import Image
from its.search.check import at_least
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class RBF:
    """Try children one by one; the first that beats all before it is taken, and what it saved rolls over.

    A pool of starting points first; then every step has the same quota of tries. NFE = `nfe`: the last step,
    whose guess is the image, tries until that is spent.

    Attributes:
        pool: share of the budget for starting points, one evaluation each, in (0, 1).
        nfe: the budget; null under a cap.
    """

    pool: float = 0.05
    nfe: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"nfe": 500}
    needs_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(0, self, "pool")
        at_least(1, self, "nfe")

    @property
    def peak_rows(self) -> int:
        return 2 * ROWS_PER_PARTICLE + 4 * round(self.pool * (self.nfe or 0))

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        return replace(self, nfe=nfe)

    def run(self, image: Image) -> Coroutine:
        assert self.nfe is not None
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
        [particle] = yield advance([particle])
        yield reward([particle])
        return particle
