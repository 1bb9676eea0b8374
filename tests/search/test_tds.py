"""TDS and DAS: the law that they weigh by, solved exactly for a chain that is linear, and what follows from rules alone."""

import math
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.dataset.mixture import Mixture
from its.engine import Engine
from its.guidance.tfg import TFG
from its.guidance.twist import Twist
from its.particles.verbs import Reward, advance, reward
from its.sampler.consistency import Consistency
from its.sampler.ddim import DDIM
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.sampler import Sampler
from its.search import tds
from its.search.das import DAS
from its.search.none import NoSearch
from its.search.random import Random
from its.search.tds import TDS
from its.verifier.classifier import Classifier
from tests.conftest import Lab, Script

GAUSSIAN = Lab(Mixture(classes=1, size=2, std=0.6))
STEPS, PARTICLES, PROBLEMS = 4, 256, 40
ORTHOGONAL = np.linalg.qr(np.random.Generator(np.random.Philox(key=5)).standard_normal((4, 4)))[0]
SHARPNESS = ORTHOGONAL @ np.diag([2.0, 4.0, 8.0, 20.0]) @ ORTHOGONAL.T
PEAK = GAUSSIAN.data.means[0] + np.array([0.5, -0.4, 0.4, 0.5])


class LogGaussian:
    """The log-density of a Gaussian, up to a constant, in float64."""

    absolute = True

    def reward(self, images, conditions):
        apart = images.double().flatten(1) - torch.from_numpy(PEAK)
        return -0.5 * (apart @ torch.from_numpy(SHARPNESS) * apart).sum(1)


@dataclass(frozen=True)
class Case:
    """A sampler on a path, and the weights of x0_hat, eps_hat and fresh noise in its steps."""

    sampler: Sampler
    path: str

    def weights(self, t, s):
        if isinstance(self.sampler, DDIM):
            v = (s.sigma / t.sigma) ** 2 * (t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2)
            return s.alpha, math.sqrt(s.sigma**2 - v), math.sqrt(v)
        down = t.sigma - s.sigma
        rate = 0.7**2 / (1 - (s.sigma if t.sigma == 1 else t.sigma))
        return s.alpha, s.sigma - rate * down / 2, math.sqrt(rate * t.sigma * down)

    def untilted(self, grid):
        """Mean [4] and variance of x_0, of isotropic steps."""
        data, mean, variance = GAUSSIAN.data, np.zeros(4), 1.0
        for t, s in pairwise(grid):
            a, b, std = self.weights(t, s)
            total = (t.alpha * data.std) ** 2 + t.sigma**2
            slope = a * t.alpha * data.std**2 / total + b * t.sigma / total
            mean = a * data.means[0] + slope * (mean - t.alpha * data.means[0])
            variance = slope**2 * variance + std**2
        return mean, variance


CASES = {
    "ancestral": Case(DDIM(steps=STEPS, eta=1.0), "vp"),
    "noise-into-the-image": Case(FlowGRPO(steps=STEPS), "flow"),
}


@contextmanager
def log_weights(monkeypatch, logs: dict, at: list):
    """Write down the log-weights of each image, the last of which are exact."""
    with monkeypatch.context() as patch:
        normalised = tds.normalised
        patch.setattr(tds, "normalised", lambda weights: logs.update({at[0]: weights}) or normalised(weights))
        yield


def weighted(search, case: Case, monkeypatch) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Final particles [problems, K, 4], their weights, and the levels."""
    rows, logs, at = {}, {}, []

    class Traced(Script):
        guidance = property(lambda self: search.guidance)

    def body(image):
        coroutine, reply = search.run(image), None
        while True:
            at[:] = [image.problem.index]
            try:
                request = coroutine.send(reply)
            except StopIteration as stop:
                return stop.value
            reply = yield request
            if isinstance(request, Reward) and request.by == "select":
                rows[image.problem.index] = GAUSSIAN.rows(request.particles).numpy()

    verifiers = {"select": LogGaussian(), "guide": LogGaussian()}
    engine = Engine(GAUSSIAN.denoiser(path=case.path), case.sampler, verifiers, seed=0, batch=512, rows=2**17)
    with log_weights(monkeypatch, logs, at):
        assert not any(result.failure for result in engine.run(Traced(body), (math.inf,), GAUSSIAN.problems(range(PROBLEMS))))
    logs = np.array([logs[index] for index in range(PROBLEMS)])
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.stack([rows[k] for k in range(PROBLEMS)]), weights / weights.sum(1, keepdims=True), engine.prices.grid


def furthest(search, case: Case, monkeypatch) -> float:
    """The largest difference of an entry of mean or covariance from the tilted law's, in standard errors.

    An entry is estimated from each problem's weighted particles, the covariance around the true mean; the error is the
    standard deviation of these over problems, which are independent, by the root of their number.
    """
    particles, weights, grid = weighted(search, case, monkeypatch)
    mean, variance = case.untilted(grid)
    covariance = np.linalg.inv(np.eye(4) / variance + search.strength * SHARPNESS)
    tilted = covariance @ (mean / variance + search.strength * SHARPNESS @ PEAK)
    assert np.abs(tilted - mean).max() > 0.6 * math.sqrt(variance)
    assert np.diag(covariance).min() < 0.5 * variance

    upper, apart = np.triu_indices(4), particles - tilted
    first = np.einsum("pk,pki->pi", weights, apart)
    second = np.einsum("pk,pki,pkj->pij", weights, apart, apart)[:, *upper] - covariance[upper]
    entries = np.hstack([first, second])
    return float((np.abs(entries.mean(0)) / (entries.std(0, ddof=1) / math.sqrt(PROBLEMS))).max())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("kind", [TDS, DAS])
def test_weighted_particles_have_the_tilted_law_of_the_chain(lab, kind, case, monkeypatch):
    assert furthest(kind(particles=PARTICLES), case, monkeypatch) < 4.5


@dataclass(frozen=True)
class Contrary(Twist):
    """A proposal that steps down its guide's score, by half and at a weight of its own."""

    def guide(self, inputs):
        output = super().guide(inputs)
        return output._replace(shift=-0.5 * inputs.column(1.5 - self.weight(inputs.steps_taken() / inputs.steps)) * output.shift)


class Perverse(DAS):
    @property
    def guidance(self):
        return Contrary(self.strength, self.tempering)


def test_weights_make_up_for_a_proposal_that_knows_nothing_of_the_twist(lab, monkeypatch):
    assert furthest(Perverse(particles=PARTICLES), CASES["ancestral"], monkeypatch) < 4.5
