"""Classification accuracy: how often a held-out classifier names the class that was asked for.

The GAN-test of Shmelkov et al. 2018 (arXiv 1807.09499): a classifier of real images judges generated ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from its.metric.features import Features, Int64, Moments, require_count, shortage


@dataclass(frozen=True)
class Accuracy:
    """The share of images, in [0, 1], whose largest logit (the first of equals) is that of their class.

    `accuracy_se` is binomial, sqrt(p (1 - p) / n), and so 0 where all or none are right.
    """

    reads: ClassVar[str] = "classes"
    against: ClassVar[str] = "nothing"

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        classless = np.flatnonzero(labels < 0)
        if classless.size:
            return f"needs the class of each image, and image {classless[0]} has none"
        return shortage(len(labels), least=1)

    def __call__(self, sample: Features, reference: Features | Moments | None = None) -> dict[str, float]:
        """Compute the accuracy on `sample`; the reference is not used."""
        require_count("accuracy", len(sample), least=1)
        logits = sample.class_logits
        classes = logits.shape[1]
        stray = np.flatnonzero((sample.labels < 0) | (sample.labels >= classes))
        if stray.size:
            raise ValueError(
                f"image {stray[0]} was asked for class {sample.labels[stray[0]]}, but the "
                f"classifier knows {classes} classes from 0; take a classifier of this dataset"
            )
        share = float(np.mean(logits.argmax(axis=1) == sample.labels))
        return {"accuracy": share, "accuracy_se": float(np.sqrt(share * (1 - share) / len(sample)))}
