"""Twisted diffusion sampler: SMC whose proposals and weights share a twist (Wu et al. 2023, arXiv:2306.17775).

Deviations: proposals move by the sampler's own variance times the gradient, as in the paper; the code for images moves
x0_hat and clips it. The end weighs by the verifier that selects; the guide only proposes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from its.guidance.twist import Twist
from its.particles.image import Image
from its.particles.particle import Particle
from its.particles.verbs import advance, reward
from its.search.parts.potentials import Lineage
from its.search.parts.resampling import RESAMPLERS, normalised, normalised_logs, uneven
from its.search.parts.rules import SHARE
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class TDS(Search):
    """Sequential Monte Carlo towards `p(x) exp(strength reward(x))`, by steps that are shifted up the guide's score.

    A particle's weight is p / q of its steps, times its twist: `exp(strength score)` of its guess by the guide, and of
    the image the reward in place of that. It makes up for whatever was proposed. NFE = K samplings; every step has a
    backward pass and a call of the guide besides.
    """

    strength: float = 1.0  # 1 / alpha, at least 0; 0 leaves the particles alone
    tempering: float | None = None  # growth of the twist in each hundredth of the steps; null: whole from the start
    resampler: str = "systematic"  # or multinomial, ssp
    ess: float = 1.0  # resample where the effective sample size is below this share of K; 1 is always
    final: str = "sample"  # one image by weight; or the heaviest; or the best by reward
    particles: Size = sized(natural=4)  # K; null under a cap
    moves_starts = False

    def __post_init__(self) -> None:
        finals = ("sample", "heaviest", "best")
        self.check(strength=0, tempering=SHARE, resampler=RESAMPLERS, ess=0, final=finals, particles=1)

    @property
    def needs_noise(self) -> bool:
        return True

    @property
    def guidance(self) -> Twist:
        return Twist(self.strength, self.tempering)

    def minimum_calls(self, image: Image) -> int:
        return image.steps + 1

    def run(self, image: Image) -> Coroutine:
        particles = image.start(self.particles)
        lines = [Lineage()] * len(particles)
        for i, level in enumerate(image.grid[1:]):
            # Weigh by the twist, and resample where the weights have become uneven.
            scores = yield reward(particles, by="guide", gradient=True)
            lines = _weighed(lines, particles, scores, self.guidance.weight(i / image.steps))
            weights = normalised([line.weight for line in lines])
            if uneven(weights, self.ess):
                chosen = RESAMPLERS[self.resampler](weights, image.random)
                particles, lines = [particles[k] for k in chosen], [lines[k].settled() for k in chosen]
            # Take the step that the gradient of the twist shifts.
            particles = yield advance(particles, to=level)
        # The result, by exact weights, which stay on record.
        rewards = yield reward(particles)
        logs = [line.weight for line in _weighed(lines, particles, rewards, self.strength)]
        for particle, log in zip(particles, normalised_logs(logs), strict=True):
            image.note(particle, log_weight=log)
        weights = normalised(logs)
        if self.final == "best":
            return None
        if self.final == "heaviest":
            return particles[weights.index(max(weights))]
        [k] = image.random.choice(len(particles), 1, weights)
        return particles[k]


def _weighed(
    lines: Sequence[Lineage], particles: Sequence[Particle], scores: Sequence[float], weight: float
) -> list[Lineage]:
    """Return the lineages of particles at the log-target of each: p / q of its steps so far, and its twist."""
    twists = [weight * score if weight else 0.0 for score in scores]
    return [replace(line, target=p.log_ratio + twist) for line, p, twist in zip(lines, particles, twists, strict=True)]
