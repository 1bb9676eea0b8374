"""BFS-prune: breadth-first search that only drops particles (Zhang et al. 2025, arXiv:2505.23614).

Exact rule of the authors' code (imagenet/): a particle stays if its rounded softmax count is above 0.

Deviation: under a cap, what pruning saves pays for a further population; the original leaves it unspent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count, islice
from typing import ClassVar, Self

from its.image import Image
from its.search.bfs_resample import increase, offspring
from its.search.check import at_least, steps_or_shares
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class BFSPrune:
    """Denoise N particles together; now and then drop the unpromising ones.

    NFE = N samplings, less the steps that dropped particles no longer take.

    Attributes:
        temperature: inverse temperature of the softmax over rewards; 0 keeps all.
        start, step_size: first step after which particles are dropped, and steps between: numbers of
            steps (>= 1) or shares of the sampling (< 1).
        particles: N; null under a cap.
        populations: how often all is done, each with what the ones before left; null under a cap.
    """

    temperature: float = 1.0
    start: float = 0.25
    step_size: float = 0.25
    particles: int | None = None
    populations: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"particles": 8, "populations": 1}
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        at_least(0, self, "temperature")
        steps_or_shares(self, "start", "step_size")

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (self.particles or 1)

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        return replace(self, particles=nfe // image.cost())

    def run(self, image: Image) -> Coroutine:
        assert self.particles is not None
        for _ in islice(count(), self.populations):
            particles = image.start(int(min(self.particles, image.left / image.cost())))
            if not particles:
                return None
            for i in range(image.in_steps(self.start), image.steps, image.in_steps(self.step_size)):
                particles = yield advance(particles, to=image.grid[i + 1])
                rewards = yield reward(particles, of="before")
                temperature = self.temperature * increase(image.grid, i)
                if temperature > 0:
                    particles = [p for p, n in zip(particles, offspring(rewards, temperature), strict=True) if n]
            yield reward((yield advance(particles)))
        return None
