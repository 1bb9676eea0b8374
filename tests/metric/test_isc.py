"""Inception score against torch-fidelity, its definition and its two ends."""

import numpy as np
import pytest

from its.metric.features import Features
from its.metric.isc import InceptionScore, OpenAIInceptionScore


def scores_by_definition(logits: np.ndarray, splits: int, seed: int) -> list[float]:
    """exp(H(mean p) - mean H(p)), the mutual information, split by split."""
    shuffled = logits.astype(np.float64)[np.random.RandomState(seed).permutation(len(logits))]
    scores = []
    for i in range(splits):
        part = shuffled[i * len(logits) // splits : (i + 1) * len(logits) // splits]
        p = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        q = p.mean(axis=0)
        scores.append(np.exp(-np.sum(q * np.log(q)) + np.sum(p * np.log(p), axis=1).mean()))
    return scores


@pytest.mark.parametrize(("splits", "seed"), [(10, 2020), (3, 1)])
def test_inception_score_agrees_with_its_definition_and_torch_fidelity(
    digits: Features, take, torch_fidelity_public, splits: int, seed: int
) -> None:
    sample = take(digits, slice(0, 501))
    found = InceptionScore(splits, seed)(sample, sample)
    scores = scores_by_definition(sample.logits, splits, seed)
    assert found["isc"] == pytest.approx(np.mean(scores), rel=1e-10)
    assert found["isc_se"] == pytest.approx(np.std(scores, ddof=1) / splits**0.5, rel=1e-8)
    choices = {"isc": True, "isc_splits": splits, "rng_seed": seed}
    expected = torch_fidelity_public(sample, sample, **choices)
    assert found["isc"] == pytest.approx(expected["inception_score_mean"], rel=1e-5)


@pytest.mark.parametrize(("n", "sizes"), [(60, (20, 20, 20)), (50, (20, 20, 10)), (20, (20,))])
def test_openai_inception_score_averages_blocks_in_order(
    digits: Features, take, n: int, sizes: tuple[int, ...]
) -> None:
    sample = take(digits, slice(0, n))
    found = OpenAIInceptionScore(block=20)(sample)
    scores = []
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        part = sample.logits[end - size : end].astype(np.float64)
        p = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        scores.append(np.exp(np.sum(p * np.log(p / p.mean(axis=0)), axis=1).mean()))
    assert found["isc"] == pytest.approx(np.mean(scores), rel=1e-10)
    assert ("isc_se" in found) == (len(sizes) > 1)
    if len(sizes) > 1:
        assert found["isc_se"] == pytest.approx(np.std(scores, ddof=1) / len(sizes) ** 0.5, rel=1e-8)


@pytest.mark.parametrize("sure", [50.0, 1e4, 1e30])
def test_inception_score_of_sure_and_even_classes_is_their_number(synthetic, sure: float) -> None:
    """Classes dealt so that after the shuffle each split has 4 images of each of 5."""
    classes = np.empty(60, dtype=int)
    classes[np.random.RandomState(7).permutation(60)] = np.arange(60) % 5
    found = InceptionScore(splits=3, seed=7)(synthetic(logits=sure * np.eye(5)[classes]))
    assert found == pytest.approx({"isc": 5.0, "isc_se": 0.0}, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("logits", [[0.0, 0.0, 0.0], [3.0, 1.0, 2.0], [1e4, 0.0, -1e30]])
def test_inception_score_of_identical_images_is_one(synthetic, logits: list[float]) -> None:
    """The last has classes of probability 0, of which torch-fidelity by itself makes NaN."""
    found = InceptionScore()(synthetic(logits=np.tile(logits, (40, 1))))
    assert found == pytest.approx({"isc": 1.0, "isc_se": 0.0}, abs=1e-12)


def test_inception_score_error_is_the_deviation_over_new_sets(synthetic) -> None:
    """300 fresh sets know their deviation to 4 %, and the error's mean square to 3 %."""
    rng = np.random.default_rng(0)
    found = [InceptionScore()(synthetic(logits=2 * rng.standard_normal((400, 10)))) for _ in range(300)]
    deviation = np.std([f["isc"] for f in found], ddof=1)
    error = np.mean([f["isc_se"] ** 2 for f in found]) ** 0.5
    assert error == pytest.approx(deviation, rel=0.2)


def test_inception_score_refuses_bad_parameters_and_small_sets(synthetic) -> None:
    with pytest.raises(ValueError, match="splits is 1"):
        InceptionScore(splits=1)
    with pytest.raises(ValueError, match="seed is -1"):
        InceptionScore(seed=-1)
    with pytest.raises(ValueError, match="Inception score is given 9 images, but needs 10"):
        InceptionScore()(synthetic(logits=np.zeros((9, 3))))
    with pytest.raises(ValueError, match="0 classes"):
        InceptionScore()(synthetic(logits=np.zeros((10, 0))))
    with pytest.raises(ValueError, match="block is 0"):
        OpenAIInceptionScore(block=0)
