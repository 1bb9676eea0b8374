"""One image at a time, without an engine: what each method's few lines should come to."""

from __future__ import annotations

import pytest
import torch

from its.engine.noise import normal
from its.levels import Columns
from its.particles.keys import Verb, fold
from its.verifier.classifier import Classifier

CONDITION = 2


class Naive:
    """A deterministic or stochastic sampler loop over the rows of one image, problem 2 under seed 0."""

    def __init__(self, lab, sampler) -> None:
        self.model, self.sampler = lab.denoiser(), sampler
        self.grid = sampler.grid(self.model.path)
        self.verifier = Classifier(lab.data.logits)
        self.classes = lab.data.classes

    def draw(self, path: int) -> torch.Tensor:
        return normal(0, [CONDITION], [path], self.model.shape).double()

    @staticmethod
    def path(j: int) -> int:
        return fold(0, Verb.START, j)

    def step(self, x: torch.Tensor, path: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The row after step k, and the guess before it."""
        t, s = (Columns.of([level], 4, "cpu") for level in self.grid[k : k + 2])
        guess = self.model(x, t, [CONDITION])
        z = self.draw(fold(path, Verb.STEP, self.grid[k].key, 0)) if self.sampler.stochastic else None
        return self.sampler.step(x, guess, t, s, z), guess.x0

    def sample(self, x: torch.Tensor, path: int) -> torch.Tensor:
        for k in range(len(self.grid) - 1):
            x, _ = self.step(x, path, k)
        return x

    def reward(self, image: torch.Tensor) -> float:
        return float(self.verifier.reward(image, [CONDITION]))


@pytest.fixture
def naive(lab):
    return lambda sampler: Naive(lab, sampler)


@pytest.fixture
def rewards(lab):
    """Rewards at every cap of problem 2, from the engine."""

    def run(sampler, search, caps):
        outcomes = lab.results(lab.engine(sampler), search, caps, [CONDITION])[CONDITION].outcomes
        return [outcome.reward for outcome in outcomes]

    return run
