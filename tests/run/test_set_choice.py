"""The FID oracle's choice against brute force, and what must leave it as it is."""

import numpy as np
import pytest

from its.metric.features import Moments
from its.metric.fid import frechet_distance
from its.run.chosen import PooledShard
from its.run.set_choice import SetChoice, order_of

CAPS = (10.0, 20.0, 40.0)


def shard_of(rng: np.random.Generator, indices: range, counts: list[int], clocks: list[int]) -> PooledShard:
    """Candidates with features of their own, the k-th of each problem within `clocks[k]`."""
    offset = np.cumsum([0, *counts])
    own = {
        "index": np.array(indices),
        "offset": offset,
        "cap": np.full(offset[-1], -1),
        "clock": np.concatenate([clocks[:count] for count in counts]),
    }
    return PooledShard(indices, own, {"features": rng.standard_normal((offset[-1], 4)).astype(np.float32)}, {})


def choice(tmp_path, seed: int = 3) -> SetChoice:
    reference = Moments.of(np.random.default_rng(9).standard_normal((50, 4)) * [1, 2, 0.3, 0.1] + 0.4)
    return SetChoice(reference, CAPS, "nfe", "random", seed, "cpu", tmp_path)


@pytest.fixture
def parts() -> list[PooledShard]:
    rng, clocks = np.random.default_rng(0), [10, 15, 20, 40]
    return [shard_of(rng, range(3), [4, 2, 4], clocks), shard_of(rng, range(3, 9), [4, 4, 3, 1, 4, 4], clocks)]


def fid_from_scratch(rows: list[np.ndarray], reference: Moments) -> float:
    if len(rows) > 1:
        return frechet_distance(Moments.of(np.stack(rows)), reference)
    return float(np.sum((rows[0] - reference.mean) ** 2) + np.trace(reference.covariance))


def test_set_choice_takes_what_brute_force_takes_at_every_cap(tmp_path, parts):
    chosen = choice(tmp_path)
    picks = chosen.picks(parts)
    order = order_of(3, 9)
    assert sorted(order) == list(range(9)) != order
    for cap, most in enumerate(CAPS):
        rows: list[np.ndarray] = []
        for index in order:
            part = parts[0] if index < 3 else parts[1]
            k = index - part.indices.start
            own = range(*part.candidates["offset"][k : k + 2])
            counting = [row for row in own if part.candidates["clock"][row] <= most]
            features = part.features["features"]
            best = min(counting, key=lambda row: fid_from_scratch([*rows, features[row]], chosen.reference))
            rows.append(features[best])
            assert picks[part.indices][k, cap] == best


def test_set_choice_goes_by_the_seed_and_not_by_shards(tmp_path, parts):
    whole = np.concatenate([*choice(tmp_path).picks(parts).values()])
    cut = [parts[0]]
    for k in range(6):
        candidates, (first, last) = parts[1].candidates, parts[1].candidates["offset"][k : k + 2]
        own = {**candidates, "offset": np.array([0, last - first])}
        own |= {key: candidates[key][first:last] for key in ("cap", "clock")}
        features = {"features": parts[1].features["features"][first:last]}
        cut.append(PooledShard(range(3 + k, 4 + k), own, features, {}))
    apart = choice(tmp_path).picks(cut)
    firsts = [0, *parts[1].candidates["offset"][:-1].tolist()]
    again = np.concatenate([rows + first for rows, first in zip(apart.values(), firsts, strict=True)])
    assert np.array_equal(whole, again)
    others = [np.concatenate([*choice(tmp_path, seed).picks(parts).values()]) for seed in range(4, 10)]
    assert any(not np.array_equal(whole, other) for other in others)


def test_set_choice_among_identical_candidates_is_the_first(tmp_path, parts):
    for part in parts:
        for first, last in zip(part.candidates["offset"][:-1], part.candidates["offset"][1:], strict=True):
            part.features["features"][first:last] = part.features["features"][first]
    for part in parts:
        rows = choice(tmp_path).picks(parts)[part.indices]
        assert np.array_equal(rows, np.repeat(part.candidates["offset"][:-1, None], len(CAPS), axis=1))


def test_set_choice_refuses_an_image_without_a_candidate(tmp_path, parts):
    parts[1].candidates["clock"][:4] = 30
    with pytest.raises(ValueError, match=r"image 3 has no candidate within 10\.0 NFE: random returned"):
        choice(tmp_path).picks(parts)


def test_order_of_problems_is_the_same_among_more_of_them():
    assert [problem for problem in order_of(5, 40) if problem < 15] == order_of(5, 15)
    assert order_of(5, 40) != order_of(6, 40)
