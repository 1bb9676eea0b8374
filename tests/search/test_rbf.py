import math

import pytest

from its.engine import Engine
from its.guidance.tfg import TFG
from its.particles.verbs import Advance
from its.sampler.ddim import DDIM
from its.search.none import NoSearch
from its.search.rbf import RBF
from its.verifier.classifier import Classifier
from tests.search.trace import Always, Scripted, outcome_of, traced

SAMPLER = DDIM(steps=5, eta=1.0)


def tries(lab, search, verifier) -> tuple[list[int], int]:
    """Children tried at each step, and the NFE."""
    log: list = []
    outcome = outcome_of(lab, lab.script(traced(search, log)), SAMPLER, verifier)
    grid = SAMPLER.grid(lab.denoiser().path)
    steps = [grid.index(request.to[0]) for request, _ in log if isinstance(request, Advance) and request.to[0]]
    return [steps.count(level) for level in range(1, 5)], outcome.ledger["nfe"]


def test_rbf_without_improvement_spends_its_quota_at_every_step(lab):
    """50 NFE: 2 starting points, 12 tries at each of four steps."""
    assert tries(lab, RBF(nfe=50), Always(0.0)) == ([12, 12, 12, 12], 50)


def test_rbf_rolls_over_what_a_step_leaves(lab):
    """Every child beats all before: each step takes its first, the last tries until all is spent."""
    assert tries(lab, RBF(nfe=50), Scripted(float)) == ([1, 1, 1, 45], 50)


def test_rbf_resets_an_exhausted_quota(lab):
    """The fifth child is the first improvement, so 7 of 12 roll over; the next step finds none in 19 tries."""
    rewards = [0.0, -2.0, -1.0, -1.0, -1.0, 1.0] + [0.5] * 50
    assert tries(lab, RBF(nfe=50), Scripted(rewards.__getitem__)) == ([5, 19, 12, 12], 50)


def test_rbf_continues_from_the_best_child_of_a_step(lab):
    log: list = []
    search = RBF(nfe=14, pool=0.01)
    rewards = [0.0, -3.0, -1.0, -2.0, *[-9.0] * 20]
    outcome_of(lab, lab.script(traced(search, log)), SAMPLER, Scripted(rewards.__getitem__))
    advances = [(request, reply) for request, reply in log if isinstance(request, Advance)]
    assert [len(request.particles) for request, _ in advances] == [1] * 14
    assert advances[3][0].particles == advances[1][1]


def test_rbf_with_one_try_at_each_step_equals_plain_sampling(lab):
    for problem in range(5):
        plain, found = (outcome_of(lab, search, SAMPLER, cap=5, problem=problem) for search in (NoSearch(), RBF()))
        assert (plain.reward, plain.image.tobytes()) == (found.reward, found.image.tobytes())


@pytest.mark.parametrize("cap", [5, 6, 9, 10, 24, 57])
def test_rbf_spends_a_cap_to_the_last_evaluation(lab, cap):
    assert outcome_of(lab, RBF(), SAMPLER, cap=cap).ledger["nfe"] == cap


def test_rbf_survives_rewards_of_minus_infinity(lab):
    outcome = outcome_of(lab, RBF(), SAMPLER, Always(-math.inf), cap=30)
    assert outcome.reward == -math.inf


@pytest.mark.parametrize("pool", [0.05, 0.3])
@pytest.mark.parametrize("cap", [20, 21, 22, 37])
def test_rbf_ends_with_an_image_under_a_recurrence(lab, pool, cap):
    verifier = Classifier(lab.data.logits)
    guidance = TFG(rho=0.0, mu=0.0, recurrence=2)
    engine = Engine(
        lab.denoiser(), DDIM(steps=10, eta=1.0), {"select": verifier, "guide": verifier}, seed=0, guidance=guidance
    )
    results = lab.results(engine, RBF(pool=pool), (cap,), range(4))
    assert all(result.outcomes[0].ledger["nfe"] <= cap for result in results.values())
