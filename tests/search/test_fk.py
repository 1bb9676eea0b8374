import math

import numpy as np
import pytest

from its.sampler.ddim import DDIM
from its.search.fk import FK
from its.search.none import NoSearch
from its.search.parts.potentials import Lineage
from its.search.random import Random

SAMPLER = DDIM(steps=6, eta=1.0)
TILT = np.random.Generator(np.random.Philox(key=3)).standard_normal(16) * 3


class Linear:
    """A reward whose spread over samples is about 1."""

    absolute = True

    def reward(self, images, conditions):
        return images.double().flatten(1) @ images.new_tensor(TILT).double()


@pytest.mark.parametrize("potential", ["diff", "max", "add", "rt"])
@pytest.mark.parametrize("resampler", ["multinomial", "systematic", "ssp"])
def test_fk_at_lambda_0_equals_best_of_n(lab, potential, resampler):
    def run(search):
        bits = lab.bits(lab.engine(DDIM(steps=10, eta=1.0)), search, (10, 57), range(4))
        return {k: [(image, reward, ledger["nfe"]) for image, reward, ledger in v] for k, v in bits.items()}

    assert run(FK(strength=0.0, potential=potential, resampler=resampler, ess=1.0)) == run(Random())


@pytest.mark.parametrize(
    ("potential", "weights"),
    [("diff", [-4.0, 2.0, 4.0]), ("rt", [-4.0, -2.0, 2.0]), ("max", [-4.0, -2.0, 2.0]), ("add", [-4.0, -6.0, -4.0])],
)
def test_lineage_weight_of_each_step_follows_its_potential(potential, weights):
    """Rewards -2, -1, 1 at lambda 2, resampled after each."""
    line, seen = Lineage(), []
    for reward in (-2.0, -1.0, 1.0):
        line = line.grown(potential, 2.0, reward)
        seen.append(line.weight)
        line = line.settled()
    assert seen == weights


@pytest.mark.parametrize("potential", ["diff", "max", "add", "rt"])
def test_lineage_weights_multiply_to_the_final_reward(potential):
    line, product = Lineage(), 0.0
    for reward in (-2.0, 3.0, 1.0):
        line = line.grown(potential, 2.0, reward)
        product += line.weight
        line = line.settled()
    assert product + line.grown("diff", 2.0, 0.5).weight == pytest.approx(2.0 * 0.5)


@pytest.mark.parametrize("potential", ["diff", "max", "add", "rt"])
def test_lineage_weight_is_never_nan_at_rewards_of_minus_infinity(potential):
    line = Lineage()
    for reward in (-math.inf, -math.inf, 1.0, -math.inf):
        line = line.grown(potential, 10.0, reward)
        assert not math.isnan(line.weight)
        line = line.settled()
        assert line.weight == 0.0
    assert line.grown("diff", 10.0, 1.0).weight > -math.inf


def tilted(lab, particles: int, problems: int, **options) -> np.ndarray:
    search = FK(
        strength=1.0,
        potential="diff",
        resampler="systematic",
        start=1,
        every=1,
        end=5,
        final="sample",
        particles=particles,
        **options,
    )
    engine = lab.engine(SAMPLER, None, Linear(), batch=256, rows=65536)
    results = lab.results(engine, search, (math.inf,), range(problems))
    return np.array([result.outcomes[0].reward for result in results.values()])


@pytest.fixture(scope="module")
def expected(lab) -> float:
    """Mean reward under `p(x) exp(reward)`, from plain samples weighed."""
    engine = lab.engine(SAMPLER, None, Linear(), batch=256, rows=65536)
    results = lab.results(engine, NoSearch(), (6,), range(100_000, 110_000))
    rewards = np.array([result.outcomes[0].reward for result in results.values()])
    return float((rewards * np.exp(rewards)).sum() / np.exp(rewards).sum())


@pytest.mark.parametrize("ess", [0.5, 1.0])
def test_fk_samples_the_tilted_law(lab, expected, ess):
    found = tilted(lab, 32, 200, ess=ess)
    assert abs(found.mean() - expected) < 4 * found.std() / math.sqrt(len(found)) + 0.05


class Steps:
    """A reward of 0, 1, 2 or 3 by the component of an image: under `p(x) exp(reward(x))` its law is known exactly."""

    absolute = True

    def __init__(self, lab) -> None:
        self.logits = lab.data.logits

    def reward(self, images, conditions):
        return self.logits(images).argmax(dim=1).double()


def rewards_of(lab, sampler, search, problems):
    engine = lab.engine(sampler, None, Steps(lab), batch=256, rows=65536)
    results = lab.results(engine, search, (math.inf,), problems)
    return np.array([result.outcomes[0].reward for result in results.values()])


@pytest.mark.long
def test_fk_bias_shrinks_to_within_three_errors_at_256_particles(lab):
    """Towards the tilted law of the sampler's own images, which in 10 steps is not quite that of the mixture."""
    sampler, problems = DDIM(steps=10, eta=1.0), {1: 1000, 4: 1000, 16: 500, 64: 150, 256: 450}
    plain = rewards_of(lab, sampler, NoSearch(), range(100_000, 140_000))
    tilted = np.bincount(plain.astype(int)) * np.exp(np.arange(4.0))
    tilted /= tilted.sum()
    expected, errors = tilted @ np.arange(4), []
    for particles, count in problems.items():
        search = FK(
            strength=1.0,
            potential="diff",
            resampler="systematic",
            start=1,
            every=1,
            end=9,
            ess=1.0,
            final="sample",
            particles=particles,
        )
        found = rewards_of(lab, sampler, search, range(count))
        errors.append(expected - found.mean())
    assert errors[0] > errors[1] > errors[2]
    assert abs(errors[-1]) < 3 * found.std(ddof=1) / math.sqrt(len(found))
    shares = np.bincount(found.astype(int), minlength=4) / len(found)
    assert np.all(np.abs(shares - tilted) < 3 * np.sqrt(tilted * (1 - tilted) / len(found)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"potential": "sum"}, "choose one of diff, max, add, rt"),
        ({"resampler": "x"}, "choose one of multinomial"),
        ({"final": "x"}, "choose one of best, sample"),
        ({"strength": -1.0}, "at least 0"),
        ({"every": 0}, "is 0; it is"),
    ],
)
def test_fk_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        FK(**options)
