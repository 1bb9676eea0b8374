"""The baseline of every curve: the whole budget in denoising steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from its.image import Image
from its.search.check import at_least
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class MoreSteps:
    """One sampling in as many steps, spaced by the sampler's rule, as the cap pays for.

    Attributes:
        steps: null under a cap, which sizes it.
    """

    steps: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"steps": 250}
    needs_noise: ClassVar[bool] = False
    peak_rows: ClassVar[int] = ROWS_PER_PARTICLE

    def __post_init__(self) -> None:
        at_least(1, self, "steps")

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        """The most steps whose cost is within `nfe`."""
        low, high = 1, min(nfe, image.most_steps)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if image.cost(steps=middle) <= nfe else (low, middle - 1)
        return replace(self, steps=low)

    def run(self, image: Image) -> Coroutine:
        particles = yield advance(image.start(), steps=self.steps)
        yield reward(particles)
        return particles[0]
