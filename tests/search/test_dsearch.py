"""DSearch: ever fewer beams, the best child of each, and more children late."""

from itertools import pairwise

import numpy as np
import pytest

from its.particles.verbs import Advance, Reward
from its.sampler.ddim import DDIM
from its.search.dsearch import DSearch
from its.search.random import Random
from its.search.svdd import SVDD
from tests.search.trace import outcome_of, traced

SAMPLER = DDIM(steps=10, eta=1.0)


def bits(lab, search, caps) -> dict:
    results = lab.bits(lab.engine(SAMPLER), search, caps, range(4))
    return {index: [(image, reward) for image, reward, _ in outcomes] for index, outcomes in results.items()}


def test_dsearch_of_one_beam_without_expansion_equals_svdd(lab):
    assert bits(lab, DSearch(beams=1, expansion=1.0), (10, 23, 57)) == bits(lab, SVDD(), (10, 23, 57))


def test_dsearch_with_one_child_each_and_no_fewer_beams_equals_best_of_n(lab):
    assert bits(lab, DSearch(beams=5, final_beams=5), (50,)) == bits(lab, Random(), (50,))


def rounds(lab, search, problem: int = 0) -> list:
    """Beams, children, and the rewards of those at every branching."""
    log: list = []
    outcome_of(lab, lab.script(traced(search, log)), SAMPLER, problem=problem)
    found = []
    for (branch, children), (scored, rewards) in zip(log[0:18:2], log[1:18:2], strict=True):
        assert isinstance(branch, Advance)
        assert isinstance(scored, Reward)
        assert scored.particles == children
        found.append((list(dict.fromkeys(branch.particles)), branch.particles, children, rewards))
    return found


def test_dsearch_has_the_beams_and_children_of_its_schedules(lab):
    widths = [max(1, int(5 * 0.2 ** (i / 9))) for i in range(9)]
    assert widths == [5, 4, 3, 2, 2, 2, 1, 1, 1]
    late, number = np.zeros(9), 24
    for problem in range(number):
        before = 5
        for i, (beams, _, children, _) in enumerate(rounds(lab, DSearch(expansion=3.0, children=2), problem)):
            each = len(children) // len(beams)
            assert len(beams) == before
            assert len(children) == each * len(beams)
            assert each in (2, 30 // before)
            late[i] += each == 30 // before
            before = widths[i]
    odds = 1 - np.exp(-3 * np.arange(9) / 9)
    assert late[0] == 0
    assert (np.abs(late - number * odds) <= 4.5 * np.sqrt(number * odds * (1 - odds)) + 1e-9).all()


def test_dsearch_keeps_the_best_child_of_the_best_beams(lab):
    found = rounds(lab, DSearch(beams=4, final_beams=2, expansion=1.0, children=3))
    for (beams, parents, children, rewards), (following, *_) in pairwise(found):
        best = {}
        for parent, child, _ in sorted(zip(parents, children, rewards, strict=True), key=lambda each: -each[2]):
            best.setdefault(parent, child)
        assert set(best) == set(beams)
        assert [*best.values()][: len(following)] == following


@pytest.mark.parametrize("cap", [10, 16, 29, 30, 47, 120, 500])
def test_dsearch_spends_a_cap_to_the_last_evaluation(lab, cap):
    for problem in range(3):
        assert outcome_of(lab, DSearch(), SAMPLER, cap=cap, problem=problem).ledger["nfe"] == cap


def test_dsearch_refuses_bad_parameters():
    with pytest.raises(ValueError, match=r"search\.final_beams is 0; it is a whole number of at least 1"):
        DSearch(final_beams=0)
    with pytest.raises(ValueError, match=r"search\.expansion is 0.5; it is a number of at least 1"):
        DSearch(expansion=0.5)
