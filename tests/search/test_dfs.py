import pytest

from its.particles.verbs import Advance, Reward
from its.sampler.ddim import DDIM
from its.search.dfs import DFS
from its.search.none import NoSearch
from tests.search.trace import Always, Scripted, outcome_of, traced

SAMPLER = DDIM(steps=10, eta=1.0)


def rises(lab, search, verifier) -> tuple[list[int], int]:
    """Steps at which each advance began and ended, and the NFE."""
    log: list = []
    outcome = outcome_of(lab, lab.script(traced(search, log)), SAMPLER, verifier)
    grid = SAMPLER.grid(lab.denoiser().path)
    ends = [(r.particles[0].level, r.to[0] or grid[-1]) for r, _ in log if isinstance(r, Advance)]
    moves = [(grid.index(high), grid.index(low)) for high, low in ends]
    return moves, outcome.ledger["nfe"]


def test_dfs_spends_one_sampling_on_a_good_image(lab):
    plain, found = (outcome_of(lab, search, SAMPLER, Always(0.0)) for search in (NoSearch(), DFS(backtracks=20)))
    assert (plain.image == found.image).all()
    assert found.ledger["nfe"] == 10


def test_dfs_finishes_after_all_backtracks_when_no_check_passes(lab):
    search = DFS(depth=4, start=3, step_size=3, backtracks=3)
    moves, nfe = rises(lab, search, Always(-1e9))
    fresh = [(0, 4)] * 4
    assert moves == [*fresh, (4, 7), (7, 10), (10, 10)]
    assert nfe == 4 * 4 + 6


def test_dfs_goes_back_by_its_depth_and_checks_again(lab):
    search = DFS(depth=3, start=3, step_size=2, backtracks=2)
    good = [0.0, 0.0, -1e9, 0.0, 0.0, -1e9, 0.0, 0.0, 0.0]
    moves, nfe = rises(lab, search, Scripted(good.__getitem__))
    assert moves == [(0, 4), (4, 6), (6, 8), (4, 6), (6, 8), (8, 10), (6, 8), (8, 10), (10, 10)]
    assert nfe == 10 + 4 + 4


def test_dfs_out_of_backtracks_continues_from_the_best_at_that_level(lab):
    log: list = []
    search = DFS(depth=9, start=5, step_size=5, backtracks=2)
    verifier = Scripted([-5.0, -3.0, -4.0, 0.0].__getitem__)
    outcome_of(lab, lab.script(traced(search, log)), SAMPLER, verifier)
    scored = [r.particles[0] for r, _ in log if isinstance(r, Reward) and r.of == "before"]
    assert log[-2][0].particles == [scored[1]]


@pytest.mark.parametrize("cap", [10, 11, 19, 20, 37])
def test_dfs_always_finishes_an_image_within_the_cap(lab, cap):
    outcome = outcome_of(lab, DFS(), SAMPLER, Always(-1e9), cap)
    assert outcome.ledger["nfe"] <= cap
    assert outcome.reward == -1e9


def test_dfs_threshold_is_stricter_at_later_checks(lab):
    """A loss that passes the first check, at a low signal-to-noise ratio, fails the last."""
    moves, _ = rises(lab, DFS(threshold=1.0, depth=2, start=1, step_size=8, backtracks=1), Always(-1.5))
    assert moves == [(0, 2), (2, 10), (7, 10), (10, 10)]


@pytest.mark.parametrize("name", ["depth", "start", "step_size"])
def test_dfs_refuses_bad_parameters(name):
    with pytest.raises(ValueError, match=rf"search\.{name} is 0; it is steps"):
        DFS(**{name: 0})
