"""The baseline of every curve: the whole budget in denoising steps."""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.check import check
from its.search.search import Coroutine, Search, Size


@dataclass(frozen=True)
class MoreSteps(Search):
    """One sampling in as many steps, spaced by the sampler's rule, as the cap pays for."""

    steps: Size = None
    needs_absolute = False
    natural: ClassVar[dict[str, int]] = {"steps": 250}

    def __post_init__(self) -> None:
        check(self, steps=1)

    def plan(self, nfe: int, image: Image) -> Self:
        low, high = 1, min(nfe, image.most_steps)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if image.cost(steps=middle) <= nfe else (low, middle - 1)
        return replace(self, steps=low)

    def run(self, image: Image) -> Coroutine:
        particles = yield advance(image.start(), steps=self.steps)
        yield reward(particles)
        return particles[0]
