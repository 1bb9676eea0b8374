"""Random search, best-of-N: independent starting noises, the best image kept (Ma et al. 2025, 2501.09732)."""

from dataclasses import dataclass
from itertools import count

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.search import Coroutine, Search, Size, sized
from its.types import SpeedOnly


@dataclass(frozen=True)
class Random(Search):
    """Sample and score starting noises until the budget is spent; NFE = N samplings."""

    candidates: Size = sized(natural=8)  # N; null under a cap
    block: SpeedOnly[int] = 8  # noises asked for at once
    anytime = True
    needs_absolute = False
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(candidates=1, block=1)

    def run(self, image: Image) -> Coroutine:
        blocks = count() if self.candidates is None else range(1)
        for _ in blocks:
            images = yield advance(image.start(self.candidates or self.block))
            yield reward(images)
