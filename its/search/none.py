"""No search: one plain sampling, whatever the budget."""

from dataclasses import dataclass

from its.particles.image import Image
from its.particles.verbs import advance, reward
from its.search.search import Coroutine, Search


@dataclass(frozen=True)
class NoSearch(Search):
    """Sample once, as the reference point of every curve; the image is scored, so that its reward is on record."""

    anytime = True
    needs_absolute = False
    moves_starts = False
    samples_once = True

    def run(self, image: Image) -> Coroutine:
        particles = yield advance(image.start())
        yield reward(particles)
        return particles[0]
