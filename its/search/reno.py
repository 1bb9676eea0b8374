"""ReNO: reward-based noise optimisation of few-step samplers (Eyring et al. 2024, arXiv:2406.04312), as in its code."""

from dataclasses import dataclass
from itertools import repeat
from math import prod

import numpy as np

from its.particles.image import Image
from its.particles.verbs import advance, gradient, reward
from its.search.search import Coroutine, Search, Size, sized

TINY = 1e-6
"""Added to a norm that is clipped, as PyTorch does."""


@dataclass(frozen=True)
class ReNO(Search):
    """Climb the guide's score of the image over x_T, and keep the image that is best by the verifier.

    NFE = N samplings of `steps`, forward and backward, the last of `iterations` only forward. Ascent has Nesterov's
    momentum; noise e is kept near the norms that noise has, by weight (|e|^2 / 2 - (d - 1) log |e|).
    """

    rate: float = 5.0  # learning rate
    momentum: float = 0.9
    clip: float = 0.1  # L2 norm of a gradient at most
    weight: float = 0.01  # of the norm's regulariser
    steps: int | None = None  # of a sampling; null: the sampler's own
    iterations: Size = sized(natural=50)  # N; null under a cap
    anytime = True
    needs_absolute = False
    takes_gradients = "sampler"

    def __post_init__(self) -> None:
        self.check(rate=0, momentum=0, clip=0, weight=0, steps=1, iterations=1)

    def recipe_numbers(self, shape: tuple[int, ...]) -> int:
        return prod(shape)

    def run(self, image: Image) -> Coroutine:
        [particle] = image.start()
        d, velocity = prod(image.shape), np.zeros(image.shape)
        for _ in repeat(None) if self.iterations is None else range(self.iterations - 1):
            [slope] = yield gradient([particle], through="sampler", steps=self.steps)
            yield reward([slope.image])
            # Noise of deviation 1 is what moves, so the gradient is with respect to that.
            noise = slope.x / image.prior_std
            outwards = self.weight * (1 - (d - 1) / np.sum(noise**2)) * noise
            ascent = image.prior_std * slope.gradient - outwards
            ascent *= min(1.0, self.clip / (np.linalg.norm(ascent) + TINY))
            # Nesterov's momentum in PyTorch's form.
            velocity = self.momentum * velocity + ascent
            noise = noise + self.rate * (ascent + self.momentum * velocity)
            [particle] = image.place([particle], [image.prior_std * noise])
        yield reward((yield advance([particle], steps=self.steps)))
