"""Precision and recall against torch-fidelity, plain distances, and sets whose answer is known."""

from collections.abc import Iterator

import numpy as np
import pytest

from its.metric.features import Features
from its.metric.prc import BLOCK_ROWS, PrecisionRecall


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine torch's threads wait for each other far longer than they work here."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def share_covered(points: np.ndarray, centres: np.ndarray, k: int) -> float:
    """Kynkäänniemi et al. 2019, eq 1 and 2, from differences of float64 rows."""
    gaps = np.linalg.norm(centres[:, None] - centres, axis=2)
    radius = np.sort(gaps, axis=1)[:, k]
    inside = np.linalg.norm(points[:, None] - centres, axis=2) <= radius
    return float(inside.any(axis=1).mean())


@pytest.mark.parametrize("k", [1, 3, 10])
def test_precision_recall_agrees_with_distances_and_torch_fidelity(
    digits: Features, take, torch_fidelity_public, k: int
) -> None:
    """Sets of different size and kind, so that no two of the roles can be swapped unseen."""
    sample = take(digits, np.flatnonzero(digits.labels < 4)[:150])
    reference = take(digits, slice(900, 1200))
    x, y = sample.features.astype(np.float64), reference.features.astype(np.float64)
    found = PrecisionRecall(k)(sample, reference)
    assert found["precision"] == pytest.approx(share_covered(x, y, k), abs=1e-6)
    assert found["recall"] == pytest.approx(share_covered(y, x, k), abs=1e-6)
    assert abs(found["precision"] - found["recall"]) > 0.1
    expected = torch_fidelity_public(sample, reference, prc=True, prc_neighborhood=k)
    assert found["precision"] == pytest.approx(expected["precision"], abs=1e-5)
    assert found["recall"] == pytest.approx(expected["recall"], abs=1e-5)


def test_precision_recall_counts_images_past_a_block(synthetic) -> None:
    """Images past the border of a block count like the others: all real, only the last one made."""
    line = np.arange(BLOCK_ROWS + 4.0)[:, None]
    found = PrecisionRecall()(synthetic(line[-4:]), synthetic(line))
    assert found["precision"] == 1
    assert found["recall"] == pytest.approx(7 / (BLOCK_ROWS + 4), rel=1e-5)


def test_precision_recall_is_one_between_equal_sets(digits: Features) -> None:
    assert PrecisionRecall()(digits, digits) == {"precision": 1, "precision_se": 0, "recall": 1}


def test_precision_recall_is_zero_between_distant_sets(digits: Features, synthetic) -> None:
    found = PrecisionRecall()(synthetic(digits.features + 100), digits)
    assert found == {"precision": 0, "precision_se": 0, "recall": 0}


def test_precision_recall_tells_a_lost_mode_from_a_false_one(synthetic) -> None:
    """Precision is of the generated set; before 0.4 torch-fidelity had it the other way round."""
    rng = np.random.default_rng(0)
    two_modes = np.concatenate([rng.random((50, 2)), rng.random((50, 2)) + 100])
    one_mode = two_modes[:50]
    lost = PrecisionRecall()(synthetic(one_mode), synthetic(two_modes))
    assert (lost["precision"], lost["recall"]) == (1, 0.5)
    false = PrecisionRecall()(synthetic(two_modes), synthetic(one_mode))
    assert (false["precision"], false["recall"]) == (0.5, 1)
    assert false["precision_se"] == pytest.approx(0.05)


def test_precision_recall_ignores_a_common_offset(digits: Features, take, synthetic) -> None:
    """Squared norms of 1e7 in float32 would round away the distances, which are about 2."""
    sample, reference = take(digits, slice(0, 200)), take(digits, slice(200, 500))
    moved = (synthetic(side.features + 512) for side in (sample, reference))
    assert PrecisionRecall()(*moved) == PrecisionRecall()(sample, reference)


def test_precision_recall_error_is_the_deviation_over_new_sets(synthetic) -> None:
    """300 fresh sets know their deviation to 4 %."""
    rng = np.random.default_rng(0)
    reference = synthetic(rng.standard_normal((100, 6)))
    found = [PrecisionRecall()(synthetic(1.3 * rng.standard_normal((80, 6))), reference) for _ in range(300)]
    deviation = np.std([f["precision"] for f in found], ddof=1)
    assert np.mean([f["precision_se"] for f in found]) == pytest.approx(deviation, rel=0.15)


def test_precision_recall_refuses_bad_parameters_and_small_sets(synthetic) -> None:
    with pytest.raises(ValueError, match="neighborhood is 0"):
        PrecisionRecall(0)
    three, four = synthetic(np.zeros((3, 2))), synthetic(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="given 3 images, but needs 4"):
        PrecisionRecall()(three, four)
    with pytest.raises(ValueError, match="given 3 images, but needs 4"):
        PrecisionRecall()(four, three)
    with pytest.raises(ValueError, match="2 and 5 features"):
        PrecisionRecall()(four, synthetic(np.zeros((4, 5))))
