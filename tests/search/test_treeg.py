import math

import numpy as np
import pytest

from its.particles.verbs import Advance, Reward
from its.sampler.ddim import DDIM
from its.sampler.heun import Heun
from its.search.random import Random
from its.search.treeg import TreeG
from tests.search.trace import outcome_of, traced

SAMPLER = DDIM(steps=10, eta=1.0)


@pytest.mark.parametrize("sampler", [SAMPLER, DDIM(steps=10, eta=0.0), Heun(steps=6, spacing="linspace")])
def test_treeg_of_one_state_without_scale_is_a_plain_sampling(lab, sampler):
    def reward(search):
        return outcome_of(lab, search, sampler).reward

    plain = reward(TreeG(scale=0.0, rounds=1, beams=1))
    assert plain == pytest.approx(reward(Random(candidates=1)), rel=1e-9)
    assert plain != reward(TreeG(rounds=1, beams=1))


def test_treeg_steps_from_the_best_proposals_of_the_last_round(lab):
    """8 proposals around each guess: 2 states have 16 in every round, and the best 2 are advanced."""
    log: list = []
    outcome_of(lab, lab.script(traced(TreeG(proposals=8, rounds=3, beams=2), log)), SAMPLER)
    scored = [(request.particles, reply) for request, reply in log if isinstance(request, Reward)]
    advanced = [request.particles for request, _ in log if isinstance(request, Advance)]
    assert [len(particles) for particles, _ in scored] == [16] * 27 + [2]
    for (particles, rewards), chosen in zip(scored[2:27:3], advanced[:-1], strict=True):
        assert chosen == [particles[k] for k in np.argsort(-np.array(rewards), kind="stable")[:2]]
    best = [max(rewards) for _, rewards in scored[:27]]
    gains = [best[k + 2] - best[k] for k in range(0, 27, 3)]
    assert np.mean(gains) > 0, "later rounds begin from better guesses"


@pytest.mark.parametrize(("cap", "beams"), [(10, 1), (40, 4), (45, 4)])
def test_treeg_has_a_state_for_every_sampling_that_a_cap_pays_for(lab, cap, beams):
    ledger = outcome_of(lab, TreeG(), SAMPLER, cap=cap).ledger
    assert ledger["nfe"] == 10 * beams
    assert ledger["verifier_calls"] == beams * (8 * 2 * 9 + 1)


@pytest.mark.parametrize(("cap", "beams"), [(19, 1), (100, 1), (145, 1), (289, 1), (290, 2), (1000, 6)])
def test_treeg_spends_a_cap_in_calls_on_proposals(lab, cap, beams):
    [outcome] = lab.results(lab.engine(SAMPLER, rows=8192), TreeG(), (cap,), [0], "verifier_calls")[0].outcomes
    assert outcome.ledger["verifier_calls"] == cap
    assert outcome.ledger["nfe"] == 10 * beams


def test_treeg_in_one_step_is_best_of_n(lab):
    sampler = DDIM(steps=1, eta=0.0)
    ours, plain = (outcome_of(lab, search, sampler, cap=5) for search in (TreeG(), Random()))
    assert (ours.image == plain.image).all()
    assert ours.ledger == plain.ledger


def test_treeg_gains_by_proposals_at_equal_nfe(lab):
    def mean(search):
        engine = lab.engine(SAMPLER, rows=8192)
        return np.mean([result.outcomes[0].reward for result in lab.results(engine, search, (20,), range(24)).values()])

    few, many = mean(TreeG(proposals=1, rounds=1)), mean(TreeG())
    assert math.isfinite(few)
    assert many > few


@pytest.mark.parametrize(
    ("values", "told"), [({"scale": -0.1}, "scale is -0.1"), ({"proposals": 0}, "proposals is 0"), ({"rounds": 0}, "0")]
)
def test_treeg_refuses_bad_parameters(values, told):
    with pytest.raises(ValueError, match=told):
        TreeG(**values)
