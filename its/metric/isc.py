"""Inception score (Salimans et al. 2016, arXiv 1606.03498, sec 4), by torch-fidelity's function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from its import parameters
from its.metric.features import Features, Float32, Int64, Moments, require_count, shortage

LOWEST_LOG_PROBABILITY = -600.0
"""Least log-probability: softmax in float64 is 0 below -745, and a class of probability 0 in a split makes NaN."""


@dataclass(frozen=True)
class InceptionScore:
    """The exponential of the mean KL(p(class | image) ‖ p(class)), in [1, classes]; higher is better.

    The images are shuffled by `seed` and cut into `splits`; `isc` is the mean of the splits'
    scores. The splits are disjoint, so `isc_se` is their standard deviation (splits - 1 in the variance)
    over the root of `splits`; the published deviation, of one split, is about three times that.
    Fewer images or more splits lower the score: compare equal numbers only. Published numbers are of
    logits before the bias is added (`logits_unbiased`), which the extractor makes.
    """

    splits: int = 10  # >= 2
    seed: int = 2020  # >= 0

    reads: ClassVar[str] = "logits"
    against: ClassVar[str] = "nothing"

    def __post_init__(self) -> None:
        parameters.check(self, "metric")
        if self.splits < 2:
            raise ValueError(f"splits is {self.splits}, but must be >= 2; the published choice is 10")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, but must be >= 0; torch-fidelity takes 2020")

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        return shortage(len(labels), least=self.splits)

    def __call__(self, sample: Features, reference: Features | Moments | None = None) -> dict[str, float]:
        """Compute the score of `sample`; the reference is not used."""
        require_count("Inception score", len(sample), least=self.splits)
        n = len(sample)
        shuffled = np.random.RandomState(self.seed).permutation(n)
        bounds = [k * n // self.splits for k in range(self.splits + 1)]
        scores = [_score(sample.logits[shuffled[slice(*ends)]]) for ends in pairwise(bounds)]
        return {"isc": float(np.mean(scores)), "isc_se": float(np.std(scores)) / (self.splits - 1) ** 0.5}


@dataclass(frozen=True)
class OpenAIInceptionScore:
    """The same score in the splits of guided-diffusion's evaluator (Dhariwal and Nichol 2021, arXiv 2105.05233).

    Splits are blocks of `block` images in the order of the problems, the last one perhaps shorter: ten of 5,000 for
    50,000 images. `isc_se` is as in `InceptionScore`; one block alone has none, and the column is left out.
    """

    block: int = 5000  # >= 1
    reads: ClassVar[str] = "logits"
    against: ClassVar[str] = "nothing"

    def __post_init__(self) -> None:
        parameters.check(self, "metric")
        if self.block < 1:
            raise ValueError(f"block is {self.block}, but must be >= 1; OpenAI's is 5000")

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        return shortage(len(labels), least=1)

    def __call__(self, sample: Features, reference: Features | Moments | None = None) -> dict[str, float]:
        """Compute the score of `sample`; the reference is not used."""
        require_count("Inception score", len(sample), least=1)
        starts = range(0, len(sample), self.block)
        scores = [_score(sample.logits[start : start + self.block]) for start in starts]
        columns = {"isc": float(np.mean(scores))}
        if len(scores) > 1:
            columns["isc_se"] = float(np.std(scores)) / (len(scores) - 1) ** 0.5
        return columns


def _score(logits: Float32) -> float:
    """Compute the score of one split by its logits [image, class].

    They are shifted to at most 0, in float64, and bounded below: no probability is exactly 0.
    """
    if logits.shape[1] == 0:
        raise ValueError("Inception score is given logits of 0 classes, but needs 1; take a classifier's")
    import torch
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric

    values = logits.astype(np.float64)
    bounded = np.maximum(values - values.max(axis=1, keepdims=True), LOWEST_LOG_PROBABILITY)
    return float(isc_features_to_metric(torch.from_numpy(bounded), 1, False)[KEY_METRIC_ISC_MEAN])
