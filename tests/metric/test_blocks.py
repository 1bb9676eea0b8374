"""Metrics computed in blocks, so that 50,000 images fit, are torch-fidelity's of whole sets to the last bit."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_poly, kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from its.metric.features import Features
from its.metric.isc import LOWEST_LOG_PROBABILITY, InceptionScore
from its.metric.kid import BLOCK_ROWS, Kid
from its.metric.prc import PrecisionRecall


def pair(n: int) -> tuple[Features, Features]:
    """Two sets of as many rows that overlap in part; neither is a multiple of any block."""
    rng = np.random.default_rng(n)
    sides = [rng.standard_normal((count, 24)) * (1, 1.3)[k] for k, count in enumerate((n, n + 77))]
    logits = [3 * rng.standard_normal((len(side), 10)) for side in sides]
    return tuple(
        Features(side.astype(np.float32), each.astype(np.float32), np.zeros(len(side), np.int64))
        for side, each in zip(sides, logits, strict=True)
    )


@pytest.mark.parametrize("n", [300, 2300])
def test_kid_in_blocks_is_that_of_whole_sets(n: int):
    """Also where a set is one block: NumPy multiplies an array with itself in another order than with a copy."""
    sample, reference = pair(n)
    x, y = (side.features.astype(np.float64) for side in (sample, reference))
    size = min(n, 500)
    whole = kid_features_to_metric(
        *map(torch.from_numpy, (x, y)), kid_subsets=4, kid_subset_size=size, rng_seed=2020, verbose=False
    )
    witness = np.empty(n)
    for start in range(0, n, BLOCK_ROWS):
        rows = x[start : start + BLOCK_ROWS]
        kernel = kernel_poly(rows, x)
        others = (kernel.sum(axis=1) - np.diagonal(kernel, offset=start)) / (n - 1)
        witness[start : start + BLOCK_ROWS] = others - kernel_poly(rows, y).mean(axis=1)
    drawing = whole["kernel_inception_distance_std"] / 3**0.5
    found = Kid(subsets=4, subset_size=size)(sample, reference)
    assert found["kid"] == whole["kernel_inception_distance_mean"]
    assert found["kid_se"] == float(np.hypot(2 * float(np.std(witness, ddof=1)) / n**0.5, drawing))


@pytest.mark.parametrize("n", [300, 2300])
@pytest.mark.parametrize("k", [1, 3])
def test_precision_recall_in_blocks_are_those_of_whole_sets(n: int, k: int):
    sample, reference = pair(n)
    centred = [torch.from_numpy(side.features - reference.moments.mean) for side in (sample, reference)]
    whole = prc_features_to_metric(*centred, prc_neighborhood=k, prc_batch_size=2048, save_cpu_ram=True, verbose=False)
    found = PrecisionRecall(k)(sample, reference)
    assert 0 < found["recall"] < found["precision"] <= 1
    assert (found["precision"], found["recall"]) == (whole["precision"], whole["recall"])


@pytest.mark.parametrize("splits", [2, 7])
def test_inception_score_in_splits_is_that_of_a_whole_set(splits: int):
    sample, _ = pair(300)
    values = sample.logits.astype(np.float64)
    bounded = np.maximum(values - values.max(axis=1, keepdims=True), LOWEST_LOG_PROBABILITY)
    whole = isc_features_to_metric(torch.from_numpy(bounded), splits, True, 2020)
    found = InceptionScore(splits)(sample)
    assert found["isc"] == whole["inception_score_mean"]
    assert found["isc_se"] == whole["inception_score_std"] / (splits - 1) ** 0.5
