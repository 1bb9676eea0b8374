"""Moments stream in any order, and what no metric may be computed from is refused by name."""

import itertools

import numpy as np
import pytest

from its.metric.features import BLOCK_ROWS, Features, Moments


def assert_same(a: Moments, b: Moments, rtol: float) -> None:
    assert a.count == b.count
    np.testing.assert_allclose(a.mean, b.mean, rtol=rtol)
    scale = np.abs(b.covariance).max()
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("count", [2, 37, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 5])
def test_moments_agree_with_numpy(count: int) -> None:
    features = np.random.default_rng(0).standard_normal((count, 5)) * [1, 2, 3, 4, 5]
    expected = Moments(count, features.mean(axis=0), np.cov(features, rowvar=False))
    assert_same(Moments.of(features), expected, rtol=1e-10)


def test_moments_survive_a_mean_far_larger_than_the_spread() -> None:
    """E[x²] - E[x]² loses 1e12 * 2e-16 of a unit variance here, which is 2e-4 in float64."""
    features = np.random.default_rng(0).standard_normal((1000, 3)) + 1e6
    np.testing.assert_allclose(Moments.of(features).covariance, np.cov(features - 1e6, rowvar=False), atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_moments_merge_shards_of_any_size_in_any_order(digits: Features, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cuts = np.sort(np.append(rng.integers(0, len(digits), 12), [0, 1, 1, len(digits)]))
    shards = [digits.features[a:b] for a, b in itertools.pairwise(cuts)]
    assert {0, 1} <= {len(shard) for shard in shards}
    streamed = Moments.of(digits.features[:0])
    for i in rng.permutation(len(shards)):
        streamed = streamed.add(shards[i])
    assert_same(streamed, digits.moments, rtol=1e-10)
    assert_same(digits.moments.merge(streamed), streamed.merge(digits.moments), rtol=1e-10)


def test_moments_factor_squares_to_the_covariance_and_has_its_rank(digits: Features) -> None:
    few = Moments.of(digits.features[:20])
    np.testing.assert_allclose(few.factor @ few.factor.T, few.covariance, atol=1e-14)
    assert few.factor.shape == (64, 19)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["features", "logits"])
def test_features_name_the_row_of_a_number_that_is_not_finite(value: float, where: str) -> None:
    arrays = {name: np.zeros((6, 3), dtype=np.float32) for name in ("features", "logits")}
    arrays[where][4, 1] = value
    with pytest.raises(ValueError, match=f"{where} holds NaN or Inf in row 4"):
        Features(**arrays, labels=np.zeros(6, dtype=np.int64))
    with pytest.raises(ValueError, match="row 4"):
        Moments.of(arrays[where])


def test_features_refuse_arrays_that_do_not_belong_together() -> None:
    features = np.zeros((6, 3), dtype=np.float32)
    labels = np.zeros(6, dtype=np.int64)
    with pytest.raises(ValueError, match="logits has 5 rows and features 6"):
        Features(features, features[:5], labels)
    with pytest.raises(TypeError, match="features is float64"):
        Features(features.astype(np.float64), features, labels)
    with pytest.raises(TypeError, match="labels is int32"):
        Features(features, features, labels.astype(np.int32))
    with pytest.raises(ValueError, match="width 0"):
        Features(features[:, :0], features, labels)
    with pytest.raises(ValueError, match="3 and 2 features"):
        Moments.of(features).merge(Moments.of(features[:, :2]))


def test_moments_refuse_invalid_statistics() -> None:
    mean = np.zeros(2)
    with pytest.raises(ValueError, match="symmetric"):
        Moments(9, mean, np.array([[1.0, 0.0], [0.5, 1.0]]))
    with pytest.raises(ValueError, match=r"eigenvalues from -1 to 3, but must be positive"):
        _ = Moments(9, mean, np.array([[1.0, 2.0], [2.0, 1.0]])).factor
    with pytest.raises(ValueError, match="covariance holds NaN or Inf in row 1"):
        Moments(9, mean, np.array([[1.0, 0.0], [0.0, np.nan]]))
    with pytest.raises(ValueError, match="mean has shape"):
        Moments(9, np.zeros(3), np.eye(2))


def test_moments_admit_statistics_rounded_to_float32(digits: Features) -> None:
    few = Moments.of(digits.features[:20])
    rounded = Moments(20, few.mean, few.covariance.astype(np.float32))
    assert np.linalg.eigvalsh(rounded.covariance)[0] < 0
    scale = few.covariance.max()
    np.testing.assert_allclose(rounded.factor @ rounded.factor.T, few.covariance, atol=1e-6 * scale)
