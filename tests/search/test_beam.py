import math

import pytest

from its.particles.verbs import Advance, Reward
from its.sampler.ddim import DDIM
from its.search.beam import Beam
from its.search.random import Random
from its.search.svdd import SVDD
from tests.search.trace import outcome_of, traced

SAMPLER = DDIM(steps=10, eta=1.0)


def same(lab, one, other, caps) -> bool:
    def run(search):
        return {
            k: [(image, reward, ledger["nfe"]) for image, reward, ledger in v]
            for k, v in lab.bits(lab.engine(SAMPLER), search, caps, range(4)).items()
        }

    return run(one) == run(other)


def test_beam_of_one_equals_svdd(lab):
    assert same(lab, Beam(beams=1), SVDD(), (10, 23, 57))


def test_beam_with_one_child_each_equals_best_of_n(lab):
    assert same(lab, Beam(beams=5), Random(), (10, 20, 50))


def test_beam_continues_with_the_best_of_all_children(lab):
    log: list = []
    outcome_of(lab, lab.script(traced(Beam(beams=2, children=3), log)), SAMPLER)
    assert [len(request.particles) for request, _ in log if isinstance(request, Advance)] == [6] * 9 + [2]
    rounds = [entry for entry in log if isinstance(entry[0], Reward)]
    assert len(rounds) == 10
    for (scored, rewards), (following, _) in zip(log[1:-1:2], log[2::2], strict=True):
        ranked = sorted(zip(rewards, scored.particles, strict=True), key=lambda pair: -pair[0])
        assert [particle for _, particle in ranked[:2]] == list(dict.fromkeys(following.particles))


def test_beam_natural_cost_is_one_evaluation_per_child_and_step(lab):
    outcome = outcome_of(lab, Beam(beams=2, children=4), DDIM(steps=10, eta=1.0))
    assert 1 + 9 * 8 <= outcome.ledger["nfe"] <= 2 + 9 * 8
    assert math.isfinite(outcome.reward)


@pytest.mark.parametrize("cap", [20, 21, 38, 56])
def test_beam_spends_a_cap_to_within_two_evaluations(lab, cap):
    assert outcome_of(lab, Beam(), SAMPLER, cap=cap).ledger["nfe"] >= cap - 2
