"""BFS-prune: breadth-first search that only drops particles (Zhang et al. 2025, arXiv:2505.23614).

Exact rule of the authors' code (imagenet/): a particle stays if its rounded softmax count is above 0.

Deviation: under a cap, what pruning saves pays for a further population; the original leaves it unspent.
"""

from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Self

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.rules import STEPS
from its.search.parts.softmax_counts import checks, increase, offspring
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class BFSPrune(Search):
    """Denoise N particles together; now and then drop the unpromising ones.

    NFE = N samplings, less the steps that dropped particles no longer take.
    """

    temperature: float = 1.0  # inverse temperature of the softmax over rewards; 0 keeps all
    start: float = 0.25  # first step after which to prune: its number (>= 1), or a share of the sampling (< 1)
    step_size: float = 0.25  # steps between prunings, likewise
    particles: Size = sized(natural=8)  # N; null under a cap
    populations: Size = sized(natural=1)  # how often, each with what the ones before left; null under a cap
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(temperature=0, start=STEPS, step_size=STEPS, particles=1, populations=1)

    def minimum_calls(self, image: Image) -> int:
        return len(checks(image, self.start, self.step_size)) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        return replace(self, particles=cap // self._price(image))

    def run(self, image: Image) -> Coroutine:
        for _ in islice(count(), self.populations):
            particles = image.start(int(min(self.particles, image.left / self._price(image))))
            if not particles:
                return None
            for i in checks(image, self.start, self.step_size):
                particles = yield advance(particles, to=image.grid[i + 1])
                rewards = yield reward(particles, of="before")
                temperature = self.temperature * increase(image.grid, i)
                if temperature > 0:
                    particles = [p for p, n in zip(particles, offspring(rewards, temperature), strict=True) if n]
            yield reward((yield advance(particles)))

    def _price(self, image: Image) -> int:
        """Return the price of one particle that is never dropped."""
        return image.price(image.cost(), self.minimum_calls(image))
