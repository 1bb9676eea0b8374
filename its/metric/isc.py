"""Inception score (Salimans et al. 2016, arXiv 1606.03498, sec 4), by torch-fidelity's function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from its.metric.features import Features, Moments, require_count

LOWEST_LOG_PROBABILITY = -600.0
"""Softmax in float64 is 0 below -745, and a class that is 0 in a whole split makes 0 log 0 NaN."""


@dataclass(frozen=True)
class InceptionScore:
    """exp of the mean KL(p(class | image) ‖ p(class)), in [1, classes]; higher is better.

    The images are shuffled by `seed` and cut into `splits`; `isc` is the mean of the splits'
    scores. The splits are disjoint, so `isc_se` is their deviation (splits - 1 in the variance)
    over the root of `splits`; the published deviation, of one split, is about three times that.
    Fewer images or more splits lower the score: compare equal numbers only. Published numbers take
    logits before the bias is added (`logits_unbiased`), which is the extractor's business.
    """

    splits: int = 10  # >= 2
    seed: int = 2020  # >= 0

    def __post_init__(self) -> None:
        if self.splits < 2:
            raise ValueError(
                f"splits is {self.splits}, but must be >= 2; the published choice is 10"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, but must be >= 0; torch-fidelity takes 2020")

    def __call__(
        self, sample: Features, reference: Features | Moments | None = None
    ) -> dict[str, float]:
        """Measure `sample`; the reference has no part in it."""
        require_count("Inception score", len(sample), least=self.splits)
        if sample.logits.shape[1] == 0:
            raise ValueError(
                "Inception score is given logits of 0 classes, but needs 1; take a classifier's"
            )
        import torch
        from torch_fidelity.metric_isc import (
            KEY_METRIC_ISC_MEAN,
            KEY_METRIC_ISC_STD,
            isc_features_to_metric,
        )

        logits = sample.logits.astype(np.float64)
        logits = np.maximum(logits - logits.max(axis=1, keepdims=True), LOWEST_LOG_PROBABILITY)
        score = isc_features_to_metric(torch.from_numpy(logits), self.splits, True, self.seed)
        spread = score[KEY_METRIC_ISC_STD]
        return {"isc": score[KEY_METRIC_ISC_MEAN], "isc_se": spread / (self.splits - 1) ** 0.5}
