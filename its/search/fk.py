"""FK steering: particles resampled by potentials of the reward (Singhal et al. 2025, arXiv:2501.06848).

Deviation: all in log space, where the code clamps exp to 1e10; `max` starts from minus infinity, not from 0, which
flattened negative rewards; the image itself is scored at the end; the final correction is exact for every potential.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from its.image import Image
from its.search.check import at_least, one_of, steps_or_shares
from its.search.potentials import POTENTIALS, Lineage
from its.search.resampling import RESAMPLERS, effective, normalised
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class FK:
    """Sequential Monte Carlo towards `p(x) exp(strength reward(x))`. NFE = K samplings.

    Attributes:
        strength: lambda, at least 0; 0 leaves the particles alone.
        potential: exp of lambda times the change of the reward (`diff`), its maximum so far (`max`), the sum of
            what was so far (`add`), or itself (`rt`).
        resampler: `multinomial`, `systematic` or `ssp`.
        start, every, end: first and last step after which particles are resampled, and steps between: numbers
            of steps (>= 1) or shares of the sampling (< 1).
        ess: resample where the effective sample size is below this share of K; 1 is always.
        final: `best` image, or `sample` one by weight.
        particles: K; null under a cap.
    """

    strength: float = 10.0
    potential: str = "max"
    resampler: str = "multinomial"
    start: float = 0.2
    every: float = 0.2
    end: float = 0.8
    ess: float = 0.5
    final: str = "best"
    particles: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"particles": 4}

    def __post_init__(self) -> None:
        one_of(self, "potential", POTENTIALS)
        one_of(self, "resampler", RESAMPLERS)
        one_of(self, "final", ("best", "sample"))
        steps_or_shares(self, "start", "every", "end")
        at_least(0, self, "strength", "ess")
        at_least(1, self, "particles")

    @property
    def needs_noise(self) -> bool:
        return self.strength > 0

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
        lineages = [Lineage()] * len(particles)
        last = min(image.in_steps(self.end) + 1, image.steps - 1)
        for i in range(image.in_steps(self.start), last, image.in_steps(self.every)):
            particles = yield advance(particles, to=image.grid[i + 1])
            rewards = yield reward(particles, of="before")
            lineages = [line.grown(self.potential, self.strength, r) for line, r in zip(lineages, rewards, strict=True)]
            weights = normalised([line.weight for line in lineages])
            if len(set(weights)) > 1 and effective(weights) < self.ess * len(weights):
                chosen = RESAMPLERS[self.resampler](weights, image.random)
                particles = [particles[k] for k in chosen]
                lineages = [lineages[k].settled() for k in chosen]
        particles = yield advance(particles)
        rewards = yield reward(particles)
        if self.final == "best":
            return None
        lineages = [line.grown("diff", self.strength, r) for line, r in zip(lineages, rewards, strict=True)]
        [k] = image.random.choice(len(particles), 1, normalised([line.weight for line in lineages]))
        return particles[k]
