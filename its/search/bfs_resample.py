"""BFS-resample: breadth-first search with resampling (Zhang et al. 2025, arXiv:2505.23614).

Exact rule of the authors' code (imagenet/): rounded softmax counts, in index order, cut to the
population; there is no randomness in the selection.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import exp
from typing import ClassVar, Self

from its.image import Image
from its.search.check import at_least, steps_or_shares
from its.types import ROWS_PER_PARTICLE, Coroutine, Grid, advance, reward


@dataclass(frozen=True)
class BFSResample:
    """Denoise N particles together; now and then copy the promising ones over the others.

    NFE = N samplings, less what a shrinking population saves.

    Attributes:
        temperature: inverse temperature of the softmax over rewards; 0 is best-of-N.
        start: first step after which particles are resampled: a number of steps (>= 1) or, below
            1, a share of the sampling. The paper's 25 of 100 steps are 0.25.
        step_size: steps between resamplings, in the same units.
        particles: N; null under a cap.
    """

    temperature: float = 1.0
    start: float = 0.25
    step_size: float = 0.25
    particles: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"particles": 12}

    def __post_init__(self) -> None:
        at_least(0, self, "temperature")
        at_least(1, self, "particles")
        steps_or_shares(self, "start", "step_size")

    @property
    def needs_noise(self) -> bool:
        return self.temperature > 0

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (self.particles or 1)

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        return replace(self, particles=nfe // image.cost())

    def run(self, image: Image) -> Coroutine:
        assert self.particles is not None
        particles = image.start(self.particles)
        for i in range(image.in_steps(self.start), image.steps, image.in_steps(self.step_size)):
            particles = yield advance(particles, to=image.grid[i + 1])
            rewards = yield reward(particles, of="before")
            temperature = self.temperature * increase(image.grid, i)
            if temperature > 0:
                particles = [particles[k] for k in survivors(rewards, temperature)]
        particles = yield advance(particles)
        rewards = yield reward(particles)
        return particles[rewards.index(max(rewards))]


def increase(grid: Grid, i: int) -> float:
    """The `increase` schedule at step i: alpha-bar ratio of the step, normalised to mean 1."""
    ratios = [(t.alpha / s.alpha) ** 2 for t, s in pairwise(grid)]
    return ratios[i] * len(ratios) / sum(ratios)


def offspring(rewards: list[float], temperature: float) -> list[int]:
    """Copies of each particle: round(N softmax), ties to even; at least one particle has some."""
    top = max(rewards)
    weights = [1.0 if r == top else exp(temperature * (r - top)) for r in rewards]
    return [round(len(rewards) * w / sum(weights)) for w in weights]


def survivors(rewards: list[float], temperature: float) -> list[int]:
    """Indices after resampling: each repeated as often as it has offspring, the first N of them."""
    counts = offspring(rewards, temperature)
    return [k for k, copies in enumerate(counts) for _ in range(copies)][: len(rewards)]
