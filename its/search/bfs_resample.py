"""BFS-resample: breadth-first search with resampling (Zhang et al. 2025, arXiv:2505.23614).

Exact rule of the authors' code (imagenet/).
"""

from dataclasses import dataclass

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.parts.rules import STEPS
from its.search.parts.softmax_counts import checks, increase, survivors
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class BFSResample(Search):
    """Denoise N particles together; now and then copy the promising ones over the others.

    NFE = N samplings, less what a shrinking population saves.
    """

    temperature: float = 1.0  # inverse temperature of the softmax over rewards; 0 is best-of-N
    start: float = 0.25  # first step after which to resample: its number (>= 1), or a share of the sampling (< 1)
    step_size: float = 0.25  # steps between resamplings, likewise
    particles: Size = sized(natural=12)  # N; null under a cap
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(temperature=0, start=STEPS, step_size=STEPS, particles=1)

    @property
    def needs_noise(self) -> bool:
        return self.temperature > 0

    def minimum_calls(self, image: Image) -> int:
        return len(checks(image, self.start, self.step_size)) + 1

    def run(self, image: Image) -> Coroutine:
        particles = image.start(self.particles)
        for i in checks(image, self.start, self.step_size):
            particles = yield advance(particles, to=image.grid[i + 1])
            rewards = yield reward(particles, of="before")
            temperature = self.temperature * increase(image.grid, i)
            if temperature > 0:
                particles = [particles[k] for k in survivors(rewards, temperature)]
        particles = yield advance(particles)
        rewards = yield reward(particles)
        return particles[rewards.index(max(rewards))]
