"""LiDAR: guidance without gradients, towards few-step samples of high reward (Kim et al. 2026, arXiv:2602.03211).

Rule of the authors' code, whose noise `eps - s sigma g` is that of the guess `x0_hat + s sum_k (w_k - v_k) x0_k`.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, prod
from statistics import fmean
from typing import Self

import numpy as np

from its.levels import Level
from its.particles.image import Image
from its.particles.verbs import advance, numbers, reward
from its.search.parts.resampling import effective, normalised
from its.search.parts.rules import STEPS
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class LiDAR(Search):
    """Score samples of few steps once each; at the noisy levels of one more sampling pull its guess to the better ones.

    NFE = K few-step samplings + one sampling, which alone is the result.
    Deviation: samples are made by the run's own sampler, in no more steps than one sampling has; theirs by DPM-Solver.
    """

    strength: float = 1.0  # lambda, in 1 / unit of reward; 1 takes rewards as log-likelihoods
    scale: float = 12.5  # s; at 1 the guess becomes the mean under p(x) exp(lambda r(x)), as far as K samples know it
    steps: float = 5  # of a sample: a number (>= 1), or a share of the sampling (< 1)
    end: float = 0.2  # share of the top time, from which down the guess is the network's own
    samples: Size = sized(natural=50)  # K; null under a cap
    proposes_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(strength=0, scale=0, steps=STEPS, end=0, samples=0)

    def minimum_calls(self, image: Image) -> int:
        return 1

    def sized_for(self, cap: int, image: Image) -> Self:
        steps = self._steps(image)
        image.check_steps(steps)
        spare = cap - image.price(image.cost(), calls=1)
        return replace(self, samples=spare // image.price(image.cost(steps=steps), calls=1))

    def run(self, image: Image) -> Coroutine:
        # Look ahead: samples of few steps, each scored once.
        [particle] = image.start()
        samples = yield advance(image.start(self.samples), steps=self._steps(image))
        tilt = self._tilt((yield reward(samples)))
        samples = np.reshape([seen.x for seen in (yield numbers(samples))], (self.samples, prod(image.shape)))

        # Pull the guess: w weighs the samples by likelihood and reward, v by likelihood alone.
        sizes = []
        for t, s in self._pulled(image):
            [seen] = yield numbers([particle])
            fit = -np.square(seen.x.ravel() - t.alpha * samples).sum(axis=1) / (2 * t.sigma**2)
            w, v = normalised(fit + tilt), normalised(fit)
            sizes.append(effective(w))
            pull = self.scale * np.subtract(w, v) @ samples
            if pull.any():
                [particle] = image.propose([particle], [seen.x0 + pull.reshape(image.shape)])
            [particle] = yield advance([particle], to=s)

        # The sampling's own image is the result, whatever the samples' rewards.
        [particle] = yield advance([particle])
        yield reward([particle])
        if sizes:
            image.note(particle, effective_samples=fmean(sizes))
        return particle

    def _pulled(self, image: Image) -> list[tuple[Level, Level]]:
        """Return the steps that start from a guess that is pulled."""
        end = self.end * image.grid[0].time
        return [(t, s) for t, s in pairwise(image.grid) if self.samples and t.time > end]

    def _steps(self, image: Image) -> int:
        """Return the number of steps of a sample."""
        return min(image.in_steps(self.steps), image.steps)

    def _tilt(self, rewards: list[float]) -> np.ndarray:
        """Return lambda times the rewards; 0 where they tell no sample from another."""
        same = not self.strength or max(rewards, default=-inf) == -inf
        return np.zeros(len(rewards)) if same else self.strength * np.array(rewards)
