"""TDS and DAS: the law that they weigh by, solved exactly where the chain is linear, and what follows from rules."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch

from its.dataset.mixture import Mixture
from its.engine import Engine
from its.guidance.tfg import TFG
from its.guidance.twist import Twist
from its.particles.verbs import advance, reward
from its.sampler.ddim import DDIM
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.sampler import Sampler
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


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TDS, "ancestral"),
        (TDS, "noise-into-the-image"),
        (DAS, "ancestral"),
        pytest.param(DAS, "noise-into-the-image", marks=pytest.mark.long),
    ],
)
def test_weighted_particles_have_the_tilted_law_of_the_chain(lab, kind, name):
    assert furthest(kind(particles=PARTICLES), CASES[name]) < 4.5


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


def outcomes(engine, search, caps, currency="nfe"):
    """Bytes and rewards of four images."""
    results = {r.problem.index: r for r in engine.run(search, caps, Lab().problems(range(4)), currency)}
    return {k: [(o.image.tobytes(), o.reward) for o in result.outcomes] for k, result in results.items()}


SAMPLER = DDIM(steps=6, eta=1.0)


def guided(lab, sampler=SAMPLER, model=None, **options):
    return lab.engine(sampler, model, guide=Classifier(lab.logits), **options)


@pytest.mark.parametrize("kind", [TDS, DAS])
def test_twisted_particles_of_strength_0_are_independent_samplings(lab, kind):
    together = outcomes(guided(lab), kind(strength=0.0, final="best"), (6, 25))
    assert together == outcomes(lab.engine(SAMPLER), Random(), (6, 25))
    alone = outcomes(guided(lab), kind(strength=0.0, particles=1), (math.inf,))
    assert alone == outcomes(lab.engine(SAMPLER), NoSearch(), (math.inf,))


def test_twist_is_tempered_by_the_share_of_the_steps_as_the_authors_by_their_number():
    """(1 + 0.008)^i - 1 of 100 steps reaches 1 at i = 87."""
    twist = Twist(3.0, 0.008)
    assert [twist.weight(i / 100) for i in (0, 1, 50)] == pytest.approx([0, 3 * 0.008, 3 * (1.008**50 - 1)])
    assert twist.weight(0.86) < 3 == twist.weight(0.87) == twist.weight(1.0)
    assert list(Twist(3.0).weight(np.array([0.0, 0.5]))) == [3, 3]


def test_log_weights_do_not_depend_on_companions(lab):
    def logs(indices, **sizes):
        engine = guided(lab, keep_candidates=True, rows=4096, **sizes)
        results = lab.results(engine, TDS(strength=0.02, ess=0.5, particles=5), (math.inf,), indices)
        return {k: [c.notes["log_weight"].hex() for c in result.candidates] for k, result in results.items()}

    expected = logs(range(4), batch=32)
    assert all(len(set(each)) > 1 for each in expected.values())
    assert logs(reversed(range(4)), batch=5, gradient_batch=3) == expected
    assert logs([2], batch=1, gradient_batch=1) == {2: expected[2]}


def columns(image) -> tuple:
    ledger = image.ledger.at(math.inf)
    return tuple(ledger[name] for name in ("nfe", "nfe_backward", "guide_calls", "verifier_calls"))


def test_score_with_its_gradient_costs_one_evaluation_both_ways_that_the_step_shares(lab):
    seen = {}

    def body(image):
        [start] = image.start()
        [score] = yield reward([start], by="guide", gradient=True)
        seen["asked"] = columns(image)
        assert (yield reward([start, start], by="guide", gradient=True)) == [score] * 2
        assert (yield reward([start], by="guide")) == [score]
        [down] = yield advance([start], to=image.grid[1])
        seen["stepped"] = columns(image)
        [seen["before"]] = yield reward([down], of="before")
        seen["score"] = score
        yield reward((yield advance([down])))

    lab.results(guided(lab), Script(body, guidance=Twist(0.1)), (math.inf,), [0])
    assert seen["asked"] == seen["stepped"] == (1, 1, 1, 0)
    assert seen["score"] == pytest.approx(seen["before"], rel=1e-12)


def test_log_ratio_adds_up_over_steps_and_is_inherited(lab):
    """Of one advance over four levels, and of the same way in pieces, on which copies branch off."""
    found = {}

    def whole(image):
        [far] = yield advance(image.start(), to=image.grid[4])
        yield reward([far], by="guide", gradient=True)
        found["whole"] = far.log_ratio
        yield reward((yield advance([far])))

    def pieces(image):
        [near], copies = image.start(), []
        assert near.log_ratio == 0.0
        for level in image.grid[1:5]:
            near, *others = yield advance([near] * 3, to=level)
            yield reward([near, *others], by="guide", gradient=True)
            copies += [near.log_ratio, *(other.log_ratio for other in others)]
        found["pieces"], found["copies"] = near.log_ratio, copies
        yield reward((yield advance([near])))

    for body in (whole, pieces):
        lab.results(guided(lab), Script(body, guidance=Twist(0.1)), (math.inf,), [0])
    assert found["whole"] == found["pieces"] != 0.0
    assert len(set(found["copies"])) == 12


@pytest.mark.parametrize(
    ("ask", "guidance", "message"),
    [
        (lambda image, p: reward([p], by="guide", gradient=True), None, "no step of this run takes the gradient"),
        (lambda image, p: reward([p], by="select", gradient=True), Twist(), "of='own' and by='select'"),
        (lambda image, p: reward([p], of="before", by="guide", gradient=True), Twist(), "of='before'"),
        (lambda image, p: p.log_ratio, None, "no step of this run is twisted"),
    ],
)
def test_gradients_and_log_ratios_are_refused_where_there_are_none(lab, ask, guidance, message):
    def body(image):
        [particle] = yield advance(image.start(), to=image.grid[2])
        yield ask(image, particle)

    with pytest.raises(ValueError, match=message):
        lab.results(guided(lab), Script(body, guidance=guidance), (math.inf,), [0])


def test_gradient_of_a_finished_image_is_refused(lab):
    def body(image):
        yield reward((yield advance(image.start())), by="guide", gradient=True)

    with pytest.raises(ValueError, match="from which no step leads on"):
        lab.results(guided(lab), Script(body, guidance=Twist()), (math.inf,), [0])


@dataclass(frozen=True, kw_only=True)
class Silent(DDIM):
    """A sampler that does not say the deviation of its noise."""

    noise_std = Sampler.noise_std


@pytest.mark.parametrize(
    ("sampler", "guidance", "guide", "message"),
    [
        (DDIM(steps=6, eta=0.0), None, True, "moves the noise of steps by its variance, and DDIM draws none here"),
        (Silent(steps=6, eta=1.0), None, True, "Silent does not say the deviation of its noise"),
        (SAMPLER, TFG(), True, "TDS guides its steps itself, by Twist, and TFG was chosen besides; set guidance=none"),
        (SAMPLER, None, False, "Twist takes gradients of a guide, and there is none; set verifier@guide="),
    ],
    ids=["deterministic", "silent", "guided", "no-guide"],
)
def test_tds_refuses_what_it_cannot_twist(lab, sampler, guidance, guide, message):
    verifier = Classifier(lab.logits)
    verifiers = {"select": verifier, **({"guide": verifier} if guide else {})}
    engine = Engine(lab.denoiser(), sampler, verifiers, seed=0, **({"guidance": guidance} if guidance else {}))
    with pytest.raises(ValueError, match=message):
        lab.results(engine, TDS(particles=2), (math.inf,), [0])


def test_engine_that_is_given_the_twist_of_a_search_runs_it(lab):
    verifier, search = Classifier(lab.logits), TDS(strength=0.02, particles=3)
    engine = Engine(lab.denoiser(), SAMPLER, {"select": verifier, "guide": verifier}, seed=0, guidance=search.guidance)
    assert outcomes(engine, search, (math.inf,)) == outcomes(guided(lab), search, (math.inf,))


def test_tds_under_caps_in_calls_counts_every_score_that_it_asks_for(lab):
    """Seven of each particle: six guesses, and the image."""
    results = lab.results(guided(lab), TDS(strength=0.02), (7, 20, 21), [0], "verifier_calls")
    asked = [(o.ledger["guide_calls"], o.ledger["verifier_calls"]) for o in results[0].outcomes]
    assert asked == [(6, 1), (12, 2), (18, 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": -1.0}, "search.strength is -1.0"),
        ({"tempering": 0.0}, "search.tempering is 0.0; it is a share, above 0 and at most 1"),
        ({"resampler": "residual"}, "search.resampler is 'residual'; choose one of multinomial, systematic, ssp"),
        ({"final": "first"}, "choose one of sample, heaviest, best"),
        ({"particles": 0}, "search.particles is 0"),
    ],
)
def test_tds_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        TDS(**options)
