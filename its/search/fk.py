"""FK steering: particles resampled by potentials of the reward (Singhal et al. 2025, arXiv:2501.06848).

Deviation: log space; `max` starts from minus infinity; the image itself is scored, and the final correction is exact.
"""

from dataclasses import dataclass

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.potentials import POTENTIALS, Lineage
from its.search.parts.resampling import RESAMPLERS, normalised, uneven
from its.search.parts.rules import STEPS
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class FK(Search):
    """Sequential Monte Carlo towards `p(x) exp(strength reward(x))`. NFE = K samplings."""

    strength: float = 10.0  # lambda, at least 0; 0 leaves the particles alone
    potential: str = "max"  # exp of lambda times the reward's change (diff), maximum (max), sum (add), or itself (rt)
    resampler: str = "multinomial"  # or systematic, ssp
    start: float = 0.2  # first step after which to resample: its number (>= 1), or a share of the sampling (< 1)
    every: float = 0.2  # steps between resamplings, likewise
    end: float = 0.8  # the last, likewise
    ess: float = 0.5  # resample where the effective sample size is below this share of K; 1 is always
    final: str = "best"  # image; or sample one by weight
    particles: Size = sized(natural=4)  # K; null under a cap
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(
            strength=0,
            potential=POTENTIALS,
            resampler=RESAMPLERS,
            start=STEPS,
            every=STEPS,
            end=STEPS,
            ess=0,
            final=("best", "sample"),
            particles=1,
        )

    @property
    def needs_noise(self) -> bool:
        return self.strength > 0

    def minimum_calls(self, image: Image) -> int:
        return len(self._checks(image)) + 1

    def run(self, image: Image) -> Coroutine:
        # Denoise and weigh; resample where the weights have become uneven.
        particles = image.start(self.particles)
        lineages = [Lineage()] * len(particles)
        for i in self._checks(image):
            particles = yield advance(particles, to=image.grid[i + 1])
            rewards = yield reward(particles, of="before")
            lineages = [line.grown(self.potential, self.strength, r) for line, r in zip(lineages, rewards, strict=True)]
            weights = normalised([line.weight for line in lineages])
            if uneven(weights, self.ess):
                chosen = RESAMPLERS[self.resampler](weights, image.random)
                particles = [particles[k] for k in chosen]
                lineages = [lineages[k].settled() for k in chosen]
        # The result: the best image, or one drawn by the exact weight.
        particles = yield advance(particles)
        rewards = yield reward(particles)
        if self.final == "best":
            return None
        lineages = [line.grown("diff", self.strength, r) for line, r in zip(lineages, rewards, strict=True)]
        [k] = image.random.choice(len(particles), 1, normalised([line.weight for line in lineages]))
        return particles[k]

    def _checks(self, image: Image) -> range:
        """Return the steps after which particles are weighed."""
        last = min(image.in_steps(self.end) + 1, image.steps - 1)
        return range(image.in_steps(self.start), last, image.in_steps(self.every))
