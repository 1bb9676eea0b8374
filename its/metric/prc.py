"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991, eq 1 and 2).

By torch-fidelity's function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from its import parameters
from its.metric.features import Features, Int64, require_count, require_same_width, shortage

BLOCK_ROWS = 2048
"""Rows of the distance matrix computed at once: 0.8 GB beside a reference of 50 000."""


@dataclass(frozen=True)
class PrecisionRecall:
    """The share of each set, in [0, 1], inside the other's balls, which reach to the k-th neighbour.

    Precision: generated images inside the balls of real ones. Recall: the other way round.
    `precision_se` is binomial, right for a fixed reference, whose balls do not depend on the
    sample. Recall has none: through the balls, each of its terms depends on every generated image.
    Both move with the size of either set: compare equal numbers only.
    """

    neighborhood: int = 3  # k >= 1; the paper's choice

    reads: ClassVar[str] = "features"
    against: ClassVar[str] = "images"

    def __post_init__(self) -> None:
        parameters.check(self, "metric")
        if self.neighborhood < 1:
            raise ValueError(f"neighborhood is {self.neighborhood}, but must be >= 1; usual is 3")

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        return shortage(len(labels), least=self.neighborhood + 1)

    def __call__(self, sample: Features, reference: Features) -> dict[str, float]:
        """Compare `sample`, the generated images, with `reference`, the real ones."""
        require_same_width(sample, reference)
        fewest = min(len(sample), len(reference))
        require_count("precision and recall", fewest, least=self.neighborhood + 1)
        import torch
        from torch_fidelity.metric_prc import (
            KEY_METRIC_PRECISION,
            KEY_METRIC_RECALL,
            prc_features_to_metric,
        )

        # float64, centred: cdist subtracts squared norms, which in float32 blurs neighbours.
        centre = reference.moments.mean
        generated, real = (torch.from_numpy(x.features - centre) for x in (sample, reference))
        shares = prc_features_to_metric(
            generated,
            real,
            prc_neighborhood=self.neighborhood,
            prc_batch_size=BLOCK_ROWS,
            save_cpu_ram=True,
            verbose=False,
        )
        precision, recall = shares[KEY_METRIC_PRECISION], shares[KEY_METRIC_RECALL]
        error = (precision * (1 - precision) / len(sample)) ** 0.5
        return {"precision": precision, "precision_se": error, "recall": recall}
