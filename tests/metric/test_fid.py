"""FID against torch-fidelity, a matrix root, closed forms, its own derivative and resampling."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import sqrtm

from its.metric.features import Features, Moments
from its.metric.fid import Fid, frechet_distance, influence

Take = Callable[[Features, np.ndarray | slice], Features]


def by_matrix_root(a: Moments, b: Moments) -> float:
    shift = a.mean - b.mean
    root = sqrtm(a.covariance @ b.covariance).real
    return float(shift @ shift + np.trace(a.covariance + b.covariance - 2 * root))


def by_rows(x: np.ndarray, weights: np.ndarray, y: np.ndarray) -> float:
    """FID of weighted rows without any covariance: tr (SR)^½ is the nuclear norm of X Yᵀ."""
    n, m = len(x), len(y)
    mean = weights @ x
    x_rows = np.sqrt(weights * n / (n - 1))[:, None] * (x - mean)
    y_rows = (y - y.mean(axis=0)) / np.sqrt(m - 1)
    overlap = np.linalg.norm(x_rows @ y_rows.T, ord="nuc")
    shift = mean - y.mean(axis=0)
    return float(shift @ shift + np.sum(x_rows**2) + np.sum(y_rows**2) - 2 * overlap)


@pytest.fixture
def halves(principal: Features, take: Take) -> tuple[Features, Features]:
    """400 digits against 900 others, of full rank 16."""
    return take(principal, slice(0, 400)), take(principal, slice(400, 1300))


def test_fid_agrees_with_torch_fidelity(halves, torch_fidelity_public) -> None:
    """1e-6: torch-fidelity keeps the mean in float32."""
    expected = torch_fidelity_public(*halves, fid=True)["frechet_inception_distance"]
    assert Fid()(*halves)["fid"] == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_agrees_with_the_matrix_root(halves) -> None:
    sample, reference = (half.moments for half in halves)
    expected = by_matrix_root(sample, reference)
    assert frechet_distance(sample, reference) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_frechet_distance_of_commuting_gaussians_has_its_closed_form(seed: int) -> None:
    """|m - r|² + Σ (√s - √r)² for variances s, r along common axes, here over ten decades."""
    rng = np.random.default_rng(seed)
    axes = np.eye(12) if seed == 0 else np.linalg.qr(rng.standard_normal((12, 12)))[0]
    mean_a, mean_b = rng.standard_normal((2, 12))
    variance_a, variance_b = 10 ** rng.uniform(-8, 2, (2, 12))
    a = Moments(1000, mean_a, (axes * variance_a) @ axes.T)
    b = Moments(1000, mean_b, (axes * variance_b) @ axes.T)
    gaps = np.sqrt(variance_a) - np.sqrt(variance_b)
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum(gaps**2)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_is_symmetric_and_zero_between_equal_sets(halves) -> None:
    sample, reference = (half.moments for half in halves)
    there, back = frechet_distance(sample, reference), frechet_distance(reference, sample)
    assert there == pytest.approx(back, rel=1e-10)
    assert frechet_distance(sample, sample) == pytest.approx(0, abs=1e-12)


def test_fid_is_zero_between_equal_sets_that_lack_rank(digits: Features, take: Take) -> None:
    few = take(digits, slice(0, 20))
    assert Fid()(few, few)["fid"] == pytest.approx(0, abs=1e-12)


def test_fid_does_not_depend_on_order_or_sharding(halves, take: Take) -> None:
    sample, reference = halves
    expected = Fid()(sample, reference)
    order = np.random.default_rng(0).permutation(len(sample))
    assert Fid()(take(sample, order), reference) == pytest.approx(expected, rel=1e-10)
    pieces = [Moments.of(piece) for piece in np.array_split(reference.features, 7)]
    streamed = pieces.pop()
    for piece in pieces:
        streamed = piece.merge(streamed)
    assert Fid()(sample, streamed) == pytest.approx(expected, rel=1e-10)


def test_fid_is_exact_with_fewer_images_than_features(digits: Features, take: Take, torch_fidelity_public) -> None:
    """Exact by rows; torch-fidelity takes roots of 64 - 29 eigenvalues that are 0 but for rounding.

    Each such root is about sqrt(2e-16 |S||R|), hence the width of its tolerance.
    """
    sample, reference = take(digits, slice(0, 30)), take(digits, slice(30, 80))
    distance = Fid()(sample, reference)["fid"]
    rows = sample.features.astype(np.float64), reference.features.astype(np.float64)
    assert distance == pytest.approx(by_rows(rows[0], np.full(30, 1 / 30), rows[1]), rel=1e-10)
    norms = [np.linalg.norm(side.moments.covariance, 2) for side in (sample, reference)]
    rounding = 2 * (64 - 29) * np.sqrt(np.finfo(np.float64).eps * norms[0] * norms[1])
    expected = torch_fidelity_public(sample, reference, fid=True)["frechet_inception_distance"]
    assert distance == pytest.approx(expected, abs=rounding + 1e-6 * expected)


@pytest.mark.parametrize(("features", "count"), [("principal", 60), ("digits", 60), ("digits", 25)])
def test_influence_is_the_derivative_of_fid_by_an_image_weight(request, take: Take, features: str, count: int) -> None:
    """Central differences over an image's weight: full rank, constant pixels, fewer than 64."""
    everything = request.getfixturevalue(features)
    sample, reference = take(everything, slice(0, count)), take(everything, slice(count, 400))
    x, y = sample.features.astype(np.float64), reference.features.astype(np.float64)
    effects = influence(sample.features, sample.moments, reference.moments)
    even, step = np.full(count, 1 / count), 1e-5
    for image in (0, 7, count - 1):
        towards = np.eye(count)[image] - even
        up, down = (by_rows(x, even + side * towards, y) for side in (step, -step))
        assert effects[image] == pytest.approx((up - down) / (2 * step), rel=1e-5)
    assert np.sum(effects) == pytest.approx(0, abs=1e-9 * np.sum(np.abs(effects)))


def test_influence_in_one_dimension_has_its_closed_form() -> None:
    """In one dimension FID = (m - r)² + (s - t)², so IF = 2(m - r)z + (1 - t/s)(c z² - s²)."""
    x = np.array([0.0, 1.0, 5.0, 6.0])
    centred, s, t = x - 3, np.std(x, ddof=1), 2.0
    reference = Moments(10, np.array([1.0]), np.array([[t**2]]))
    expected = 2 * (3 - 1) * centred + (1 - t / s) * (4 / 3 * centred**2 - s**2)
    effects = influence(x[:, None], Moments.of(x[:, None]), reference)
    np.testing.assert_allclose(effects, expected, rtol=1e-12)
    error = np.std(expected, ddof=1) / np.sqrt(4)
    sample = Features(x[:, None].astype(np.float32), np.zeros((4, 0), np.float32), np.zeros(4, int))
    assert Fid()(sample, reference)["fid_se"] == pytest.approx(error, rel=1e-12)


@pytest.mark.parametrize("features", ["principal", "digits"])
def test_fid_error_agrees_with_the_bootstrap(request, take: Take, features: str) -> None:
    """400 digits of classes 0 to 6 against all; 300 resamples know a deviation to 4 %, so 15 %."""
    everything = request.getfixturevalue(features)
    rng = np.random.default_rng(0)
    rows = rng.choice(np.flatnonzero(everything.labels < 7), 400, replace=False)
    sample = take(everything, rows)
    resampled = [
        frechet_distance(Moments.of(sample.features[rng.integers(0, 400, 400)]), everything.moments) for _ in range(300)
    ]
    error = Fid()(sample, everything)["fid_se"]
    assert error == pytest.approx(np.std(resampled, ddof=1), rel=0.15)


def test_fid_error_is_the_deviation_over_new_sets(synthetic) -> None:
    """300 fresh sets know their deviation to 4 %."""
    rng = np.random.default_rng(0)
    reference = Moments(10**6, np.zeros(8), np.eye(8))
    spread = np.linspace(0.6, 1.8, 8)
    found = [Fid()(synthetic(rng.standard_normal((200, 8)) * spread + 0.3), reference) for _ in range(300)]
    deviation = np.std([f["fid"] for f in found], ddof=1)
    assert np.mean([f["fid_se"] for f in found]) == pytest.approx(deviation, rel=0.15)


def test_fid_refuses_a_single_image_and_features_of_different_width(halves, take: Take) -> None:
    sample, reference = halves
    with pytest.raises(ValueError, match="FID is given 1 images, but needs 2"):
        Fid()(take(sample, slice(0, 1)), reference)
    with pytest.raises(ValueError, match="FID is given 1 images, but needs 2"):
        Fid()(sample, take(reference, slice(0, 1)))
    with pytest.raises(ValueError, match="16 and 3 features"):
        Fid()(sample, Moments(9, np.zeros(3), np.eye(3)))
