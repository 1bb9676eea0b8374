"""KID against torch-fidelity, a plain double loop, and repeated sampling."""

import numpy as np
import pytest

from its.metric.features import Features
from its.metric.kid import BLOCK_ROWS, Kid, witness


def kernel(a: np.ndarray, b: np.ndarray) -> float:
    return float((a @ b / len(a) + 1) ** 3)


def mmd_by_loops(x: np.ndarray, y: np.ndarray) -> float:
    """Gretton et al. 2012, lemma 6: pairs of different images within a set, all pairs between."""
    n, m = len(x), len(y)
    within_x = sum(kernel(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    within_y = sum(kernel(y[i], y[j]) for i in range(m) for j in range(m) if i != j)
    between = sum(kernel(a, b) for a in x for b in y)
    return within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * between / (n * m)


@pytest.mark.parametrize(("subsets", "size"), [(100, 50), (7, 300)])
def test_kid_agrees_with_torch_fidelity(digits: Features, take, torch_fidelity_public, subsets: int, size: int) -> None:
    """Its public path averages kernels of about 2 in float32, each off by up to 2e-7."""
    sample, reference = take(digits, slice(0, 300)), take(digits, slice(300, 900))
    choices = {"kid_subsets": subsets, "kid_subset_size": size, "rng_seed": 5}
    expected = torch_fidelity_public(sample, reference, kid=True, **choices)
    found = Kid(subsets, size, seed=5)(sample, reference)["kid"]
    assert found == pytest.approx(expected["kernel_inception_distance_mean"], rel=1e-5, abs=4e-7)


def test_kid_agrees_with_plain_loops(digits: Features, take) -> None:
    sample, reference = take(digits, slice(0, 40)), take(digits, slice(900, 940))
    pixels = [side.features.astype(np.float64) for side in (sample, reference)]
    found = Kid(subset_size=40)(sample, reference)["kid"]
    assert found == pytest.approx(mmd_by_loops(*pixels), rel=1e-10)


def test_kid_shrinks_its_subsets_to_the_smaller_set(digits: Features, take, torch_fidelity_public) -> None:
    """The subset shrinks to the smaller set, and is named in no random way."""
    few, many = take(digits, slice(0, 30)), take(digits, slice(30, 130))
    for sample, reference in ((few, many), (many, few), (few, take(many, slice(0, 30)))):
        found = Kid()(sample, reference)
        assert found == Kid(subset_size=30)(sample, reference) == Kid()(sample, reference)
        choices = {"kid_subset_size": 30, "kid": True}
        expected = torch_fidelity_public(sample, reference, **choices)
        key = "kernel_inception_distance_mean"
        assert found["kid"] == pytest.approx(expected[key], rel=1e-5)


def test_kid_is_unbiased(synthetic) -> None:
    """Between sets of one distribution the mean is 0, within 4 of its standard errors."""
    rng = np.random.default_rng(0)
    found = [Kid()(*(synthetic(rng.standard_normal((25, 4))) for _ in range(2)))["kid"] for _ in range(400)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    assert min(found) < 0


def test_witness_leaves_each_image_out_of_its_own_mean(synthetic) -> None:
    """Across the border of a block, where a diagonal is easily misplaced."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((BLOCK_ROWS + 9, 3)), rng.standard_normal((20, 3))
    found = witness(x, y)
    for i in (0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 8):
        others = np.mean([kernel(x[i], x[j]) for j in range(len(x)) if j != i])
        expected = others - np.mean([kernel(x[i], b) for b in y])
        assert found[i] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("size", [100, 25])
def test_kid_error_is_the_deviation_over_new_sets(synthetic, size: int) -> None:
    """250 fresh sets know their deviation to 4.5 %; with all images in a subset and a quarter."""
    rng = np.random.default_rng(1)
    reference = synthetic(rng.standard_normal((100, 8)))
    found = [Kid(10, size)(synthetic(rng.standard_normal((100, 8)) + 0.4), reference) for _ in range(250)]
    deviation = np.std([f["kid"] for f in found], ddof=1)
    assert np.mean([f["kid_se"] for f in found]) == pytest.approx(deviation, rel=0.18)


def test_kid_error_includes_the_drawing_of_subsets(synthetic) -> None:
    """On one pair of sets, what the error holds beside sampling is the deviation over seeds."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((200, 4)) + 0.5, rng.standard_normal((200, 4))
    sample, reference = synthetic(x), synthetic(y)
    found = [Kid(10, 10, seed)(sample, reference) for seed in range(200)]
    sampling = Kid()(sample, reference)["kid_se"]
    drawing = np.mean([f["kid_se"] ** 2 - sampling**2 for f in found]) ** 0.5
    # 200 seeds know a deviation to 5 %, and as much again for the average error.
    assert drawing == pytest.approx(np.std([f["kid"] for f in found], ddof=1), rel=0.2)


@pytest.mark.parametrize(("key", "value"), [("subsets", 1), ("subset_size", 1), ("seed", -1)])
def test_kid_refuses_bad_parameters(key: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{key} is {value}"):
        Kid(**{key: value})
