"""Random search, best-of-N: independent starting noises, the best image kept (Ma et al. 2025, 2501.09732)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import ClassVar

from its.image import Image
from its.search.check import at_least
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class Random:
    """Sample and score starting noises until the budget is spent; NFE = N samplings.

    Attributes:
        candidates: N; null under a cap.
        block: noises asked for at once, >= 1. It changes speed only, never a result.
    """

    candidates: int | None = None
    block: int = 8
    anytime: ClassVar[bool] = True
    natural: ClassVar[dict[str, int]] = {"candidates": 8}
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        at_least(1, self, "block", "candidates")

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (self.candidates or self.block)

    def minimum(self, sampling: int) -> int:
        return sampling

    def run(self, image: Image) -> Coroutine:
        blocks = count() if self.candidates is None else range(1)
        for _ in blocks:
            images = yield advance(image.start(self.candidates or self.block))
            yield reward(images)
        return None
