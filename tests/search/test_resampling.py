"""Every resampler is unbiased: a particle gets N w offspring on average."""

import math
from collections import Counter

import pytest

from its.particles.host_random import HostRandom
from its.search.parts.resampling import RESAMPLERS, effective, normalised

WEIGHTS = [0.05, 0.3, 0.0, 0.4, 0.15, 0.1]
RUNS = 4000


def counts(name: str, weights: list[float], runs: int) -> list[list[int]]:
    random = HostRandom(0, 0)
    drawn = [Counter(RESAMPLERS[name](weights, random)) for _ in range(runs)]
    return [[count[k] for count in drawn] for k in range(len(weights))]


@pytest.mark.parametrize("name", RESAMPLERS)
def test_resampling_is_unbiased(name):
    for found, weight in zip(counts(name, WEIGHTS, RUNS), WEIGHTS, strict=True):
        expected = len(WEIGHTS) * weight
        assert abs(sum(found) / RUNS - expected) < 5 * math.sqrt(max(expected, 1e-9) / RUNS)


@pytest.mark.parametrize("name", ["systematic", "ssp"])
def test_systematic_and_ssp_counts_are_floor_or_ceiling(name):
    for found, weight in zip(counts(name, WEIGHTS, 500), WEIGHTS, strict=True):
        expected = round(len(WEIGHTS) * weight, 9)
        assert {math.floor(expected), math.ceil(expected)} >= set(found)


@pytest.mark.parametrize("name", RESAMPLERS)
@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.5], [0.0, 1.0, 0.0], [1 / 7] * 7], ids=str)
def test_resampling_keeps_the_number_and_the_order(name, weights):
    for run in range(50):
        chosen = RESAMPLERS[name](weights, HostRandom(1, run))
        assert len(chosen) == len(weights)
        assert chosen == sorted(chosen)
        assert all(weights[k] > 0 for k in chosen)


@pytest.mark.parametrize("name", ["systematic", "ssp"])
@pytest.mark.parametrize("n", [2, 3, 7, 32, 100])
def test_systematic_and_ssp_keep_all_at_equal_weights(name, n):
    assert all(RESAMPLERS[name](normalised([0.0] * n), HostRandom(0, run)) == list(range(n)) for run in range(50))


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        ([0.0, math.log(3.0)], [0.25, 0.75]),
        ([-math.inf] * 2, [0.5, 0.5]),
        ([-math.inf, -1e300], [0.0, 1.0]),
        ([1e300, 1e300, 0.0], [0.5, 0.5, 0.0]),
        ([math.inf, 5.0], [1.0, 0.0]),
    ],
    ids=str,
)
def test_normalised_turns_logarithms_into_weights(logs, expected):
    assert normalised(logs) == pytest.approx(expected)


def test_effective_is_n_for_even_weights_and_1_for_a_single_one():
    assert effective([0.25] * 4) == 4
    assert effective([0.0, 1.0]) == 1
