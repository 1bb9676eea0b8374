"""The baseline of every curve: the whole budget in denoising steps."""

from dataclasses import dataclass, replace
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.search import Coroutine, Search, Size, sized

AHEAD = 5
"""Numbers of steps that are tried where the price does not rise with every one."""


@dataclass(frozen=True)
class MoreSteps(Search):
    """Sample once, in as many steps, spaced by the sampler's rule, as the cap pays for."""

    steps: Size = sized(natural=250)
    needs_absolute = False
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(steps=1)

    def sized_for(self, nfe: int, image: Image) -> Self:
        low, high = 1, min(nfe, image.most_steps)
        numbers = range(high + 1)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if image.cost(steps=middle) <= nfe else (low, middle - 1)
        # Where prices differ by level, a few more steps may cost less.
        low = max(steps for steps in numbers[low : low + AHEAD] if steps == low or image.cost(steps=steps) <= nfe)
        image.check_steps(low)
        return replace(self, steps=low)

    def run(self, image: Image) -> Coroutine:
        particles = yield advance(image.start(), steps=self.steps)
        yield reward(particles)
        return particles[0]
