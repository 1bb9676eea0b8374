"""Random search, best-of-N: independent starting noises, the best image kept (Ma et al. 2025, 2501.09732)."""

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.check import check
from its.search.search import Coroutine, Search, Size


@dataclass(frozen=True)
class Random(Search):
    """Sample and score starting noises until the budget is spent; NFE = N samplings."""

    candidates: Size = None  # N; null under a cap
    block: int = 8  # noises asked for at once: it changes speed only, never a result
    anytime = True
    needs_absolute = False
    natural: ClassVar[dict[str, int]] = {"candidates": 8}

    def __post_init__(self) -> None:
        check(self, candidates=1, block=1)

    def run(self, image: Image) -> Coroutine:
        blocks = count() if self.candidates is None else range(1)
        for _ in blocks:
            images = yield advance(image.start(self.candidates or self.block))
            yield reward(images)
