"""TreeG-SD: tree search over destinations, without gradients (Guo et al. 2025, arXiv:2502.11420), by their code.

Deviation: steps draw the sampler's own noise; their script turns it towards the proposal that was chosen (`dsg`).
"""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from its.particles.image import Image
from its.particles.verbs import advance, numbers, reward
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class TreeG(Search):
    """At every step but the last propose guesses around those of A states; the best A of all are stepped from.

    NFE = A samplings, for a proposal takes no evaluation; verifier calls are A K N for each of these steps, and A for
    the images. The network's own guess is none of the proposals. The last step makes the images of its guesses.
    """

    scale: float = 0.5  # rho, of the noise that proposals add to a guess
    proposals: int = 8  # K, around each guess
    rounds: int = 2  # N at every step; the next ones begin from the guesses that were kept
    beams: Size = sized(natural=2)  # A; null under a cap
    needs_absolute = False
    scores_guesses = True
    proposes_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(scale=0, proposals=1, rounds=1, beams=1)

    def minimum_calls(self, image: Image) -> int:
        return self.proposals * self.rounds * (image.steps - 1) + 1

    def run(self, image: Image) -> Coroutine:
        particles = image.start(self.beams)
        for t, s in pairwise(image.grid[:-1]):
            states = [(p, view.x0) for p, view in zip(particles, (yield numbers(particles)), strict=True)]
            std = self.scale * t.sigma / sqrt(t.alpha**2 + 2 * t.sigma**2)
            for _ in range(self.rounds):
                around = [(p, x0 + std * z) for p, x0 in states for z in self._draws(image)]
                children = [image.propose(p, x0) for p, x0 in around]
                kept = image.best(range(len(around)), (yield reward(children)), self.beams)
                states = [around[k] for k in kept]
            particles = yield advance([children[k] for k in kept], to=s)
        yield reward((yield advance(particles)))

    def _draws(self, image: Image) -> np.ndarray:
        """Draw the noise of the proposals around one guess, `[K, *shape]`."""
        return image.random.normal((self.proposals, *image.shape))
