"""TDS and DAS: the law that they weigh by, solved exactly where the chain is linear, and what follows from rules."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.dataset.mixture import Mixture
from its.engine import Engine
from its.guidance.twist import Twist
from its.sampler.ddim import DDIM
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.sampler import Sampler
from its.search.das import DAS
from its.search.tds import TDS
from tests.conftest import Lab

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


def weighted(search, case: Case) -> tuple[np.ndarray, np.ndarray, tuple]:
    """Final particles [problems, K, 4] and their weights from the pool, and the levels."""
    engine = Engine(
        GAUSSIAN.denoiser(path=case.path),
        case.sampler,
        {"select": LogGaussian(), "guide": LogGaussian()},
        seed=0,
        batch=512,
        rows=2**17,
        keep_candidates=True,
    )
    results = GAUSSIAN.results(engine, search, (math.inf,), range(PROBLEMS)).values()
    pools = [result.candidates for result in results]
    particles = np.array([[candidate.image.ravel() for candidate in pool] for pool in pools])
    weights = np.exp([[candidate.notes["log_weight"] for candidate in pool] for pool in pools])
    assert np.allclose(weights.sum(axis=1), 1)
    return particles, weights, engine.prices.grid


def furthest(search, case: Case) -> float:
    """The largest difference of an entry of mean or covariance from the tilted law's, in standard errors.

    An entry is estimated from each problem's weighted particles, the covariance around the true mean; the error is the
    standard deviation of these over problems, which are independent, by the root of their number.
    """
    particles, weights, grid = weighted(search, case)
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
def test_weighted_particles_have_the_tilted_law_of_the_chain(lab, kind, case):
    assert furthest(kind(particles=PARTICLES), case) < 4.5


@dataclass(frozen=True)
class Contrary(Twist):
    """A proposal that steps down its guide's score, by half and at a weight of its own."""

    def guide(self, inputs):
        output = super().guide(inputs)
        return output._replace(
            shift=-0.5 * inputs.column(1.5 - self.weight(inputs.steps_taken() / inputs.steps)) * output.shift
        )


class Perverse(DAS):
    @property
    def guidance(self):
        return Contrary(self.strength, self.tempering)


def test_weights_make_up_for_a_proposal_that_knows_nothing_of_the_twist(lab):
    assert furthest(Perverse(particles=PARTICLES), CASES["ancestral"]) < 4.5
