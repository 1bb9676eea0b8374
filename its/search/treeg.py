"""TreeG-SD: tree search over destinations, without gradients (Guo et al. 2025, arXiv:2502.11420), by their code.

Deviation: steps draw the sampler's own noise; their script turns it towards the proposal that was chosen (`dsg`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, repeat
from math import inf, sqrt
from typing import Self

import numpy as np

from its.particles.image import Image
from its.particles.verbs import advance, numbers, reward
from its.search.parts.spread import spread
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class TreeG(Search):
    """At every step but the last propose guesses around those of A states; the best A of all are stepped from.

    NFE = A samplings, for a proposal takes no evaluation; verifier calls are A K N for each of these steps, and A for
    the images. A cap in calls has as many proposals as it pays for: K or more, and fewer where one state is too many.
    """

    scale: float = 0.5  # rho, of the noise that a proposal adds to a guess
    proposals: int = 8  # K, around each guess; the network's own is none of them
    rounds: int = 2  # N at every step; each begins from the guesses that the last one kept
    beams: Size = sized(natural=2)  # A; null under a cap
    needs_absolute = False
    scores_guesses = True
    proposes_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(scale=0, proposals=1, rounds=1, beams=1)

    def minimum_calls(self, image: Image) -> int:
        return self.rounds * (image.steps - 1) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        calls = self.proposals * self.rounds * (image.steps - 1) + 1
        return replace(self, beams=max(1, cap // image.price(image.cost(), calls)))

    def run(self, image: Image) -> Coroutine:
        particles, counts = image.start(self.beams), self._counts(image)
        for t, s in pairwise(image.grid[:-1]):
            owners, guesses = particles, np.stack([view.x0 for view in (yield numbers(particles))])
            std = self.scale * t.sigma / sqrt(t.alpha**2 + 2 * t.sigma**2)  # rho tau / sqrt(1 + tau^2)
            for _ in range(self.rounds):
                draws = image.random.normal((next(counts), *image.shape))
                around = np.arange(len(draws)) % len(owners)
                owners, guesses = [owners[k] for k in around], guesses[around] + std * draws
                children = image.propose(owners, guesses)
                kept = image.best(range(len(children)), (yield reward(children)), self.beams)
                owners, guesses = [owners[k] for k in kept], guesses[kept]
            particles = yield advance([children[k] for k in kept], to=s)
        yield reward((yield advance(particles)))

    def _counts(self, image: Image) -> Iterator[int]:
        """Yield how many guesses each round proposes: A K where they are free, else an even share of the cap."""
        if image.price(nfe=0, calls=1) == 0:
            return repeat(self.beams * self.proposals)
        return iter(spread(image.left - self.beams, [1] * self.rounds * (image.steps - 1), inf))
