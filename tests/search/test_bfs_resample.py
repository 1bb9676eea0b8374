import math

import pytest

from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.parts.softmax_counts import increase, survivors


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((0.625, 0.125, 0.125, 0.125), [0, 0]),
        ((0.25, 0.25, 0.25, 0.25), [0, 1, 2, 3]),
        ((0.1, 0.1, 0.7, 0.1), [2, 2, 2]),
        ((0.4, 0.4, 0.1, 0.1), [0, 0, 1, 1]),
        ((1.0,), [0]),
    ],
    ids=str,
)
def test_survivors_are_rounded_softmax_counts_in_index_order(weights, expected):
    """round(N p) copies in index order, halves to even, cut to N."""
    assert survivors([math.log(w) for w in weights], 1.0) == expected


def test_survivors_are_cut_to_the_population():
    assert survivors([math.log(w) for w in (0.32, 0.32, 0.32, 0.02, 0.02)], 1.0) == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("rewards", [[-math.inf] * 3, [0.0] * 3, [math.inf] * 3])
def test_survivors_keep_all_at_equal_scores(rewards):
    assert survivors(rewards, 2.0) == [0, 1, 2]


def test_survivors_drop_scores_of_minus_infinity():
    assert survivors([-math.inf, 1.0, -math.inf], 1.0) == [1, 1, 1]


def test_increase_rises_along_the_grid_with_mean_1(lab):
    grid = DDIM(steps=10, eta=0.0).grid(lab.denoiser().path)
    ratios = [increase(grid, i) for i in range(10)]
    assert sum(ratios) == pytest.approx(10)
    assert ratios == sorted(ratios)


def test_bfs_resample_buys_whole_samplings_and_pays_copies_once(lab):
    engine = lab.engine(DDIM(steps=10, eta=1.0))
    outcomes = lab.results(engine, BFSResample(temperature=10.0), (10, 69, 70), [0])[0].outcomes
    assert outcomes[0].ledger["nfe"] == 10
    assert outcomes[1].ledger["nfe"] < 60
    assert outcomes[2].ledger["nfe"] < 70


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "at least 0"),
        ({"start": 0}, r"search\.start is 0"),
        ({"step_size": -2}, r"search\.step_size is -2"),
    ],
)
def test_bfs_resample_refuses_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        BFSResample(**options)


def test_bfs_resample_needs_noise_only_above_temperature_0():
    assert BFSResample(temperature=0.5).needs_noise
    assert not BFSResample(temperature=0.0).needs_noise
