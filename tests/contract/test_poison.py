"""One image's bad numbers stay its own."""

import math
import re

import pytest
import torch

from its.levels import Guess
from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.search.more_steps import MoreSteps
from its.verifier.classifier import Classifier

CAPS = (25, 57)
SICK = 3


class Moody(Classifier):
    """NaN for one class."""

    def reward(self, images, conditions):
        rewards = super().reward(images, conditions)
        return rewards.masked_fill(torch.tensor(conditions) == SICK, torch.nan)


class Short(Classifier):
    """Forgets the last image."""

    def reward(self, images, conditions):
        return super().reward(images, conditions)[:-1]


class Broken(MixtureDenoiser):
    """Infinite noise for one class, near the end."""

    def __call__(self, x, levels, conditions):
        guess = super().__call__(x, levels, conditions)
        sick = (torch.tensor(conditions) == SICK) & (levels.sigma.flatten() < 0.4)
        return Guess(guess.x0, guess.eps.masked_fill(sick.reshape(-1, 1, 1, 1), torch.inf))


def test_engine_confines_nan_rewards_to_their_image(lab, search, setting):
    def run(verifier):
        engine = lab.engine(setting.sampler, setting.model(lab), verifier(lab.logits), batch=6)
        results = lab.results(engine, search, CAPS, range(6))
        return results, lab.as_bits(results)

    (_, expected), (results, bits) = run(Classifier), run(Moody)
    assert {k: v for k, v in bits.items() if k != SICK} == {k: v for k, v in expected.items() if k != SICK}
    assert all(result.nan_rewards == 0 for index, result in results.items() if index != SICK)
    scored = [o.ledger["verifier_calls"] for o in results[SICK].outcomes]
    assert results[SICK].nan_rewards == (scored[-1] if search.anytime else sum(scored))
    assert [o.reward for o in results[SICK].outcomes] == [-math.inf] * 2
    if search.anytime:
        engine = lab.engine(setting.sampler, setting.model(lab))
        first = lab.results(engine, search, [engine.prices.sampling], [SICK])[SICK]
        assert all((o.image == first.outcomes[0].image).all() for o in results[SICK].outcomes), "ties: the first"


def test_engine_refuses_a_verifier_that_skips_an_image(lab, search, setting):
    engine = lab.engine(setting.sampler, setting.model(lab), Short(lab.logits), batch=6)
    with pytest.raises(ValueError, match=r"verifier Short returned rewards of shape \[5\] .* for 6 images"):
        lab.results(engine, search, CAPS, range(4))


def test_engine_fails_only_the_image_on_which_the_network_fails(lab, search, setting):
    def run(kind):
        engine = lab.engine(setting.sampler, setting.model(lab, kind), batch=6)
        results = lab.results(engine, search, CAPS, range(6))
        return results, lab.as_bits(results)

    (_, expected), (results, bits) = run(MixtureDenoiser), run(Broken)
    assert bits == {**expected, SICK: []}
    failure = results[SICK].failure
    assert re.match(r"image 3 \(condition 3\): Broken(, .* Classifier,)? returned NaN or Inf at Level\(alpha=", failure)
    assert "time=" in failure
    assert all(result.failure is None for index, result in results.items() if index != SICK)


def test_engine_stops_spending_on_a_failed_image(lab):
    engine = lab.engine(DDIM(steps=10, eta=0.0), lab.denoiser(kind=Broken))
    lab.results(engine, MoreSteps(), (200,), [SICK])
    assert engine.served["evaluate"][0] < 200
