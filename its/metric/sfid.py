"""Spatial FID (Nash et al. 2021, arXiv 2103.03841): the Fréchet distance of features at places of the image.

The layer is that of guided-diffusion's evaluator (Dhariwal and Nichol 2021, arXiv 2105.05233); see
`its.metric.inception`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from its.metric.features import Features, Int64, Moments, shortage
from its.metric.fid import distance_and_error


@dataclass(frozen=True)
class SFid:
    """The sFID; 0 is best. Its error and bias are those of FID (`its.metric.fid.Fid`)."""

    reads: ClassVar[str] = "spatial"
    against: ClassVar[str] = "spatial"

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        return shortage(len(labels), least=2)

    def __call__(self, sample: Features, reference: Moments) -> dict[str, float]:
        """Compare `sample` with the moments of the reference's spatial features."""
        distance, error = distance_and_error(sample.with_spatial, sample.spatial_moments, reference)
        return {"sfid": distance, "sfid_se": error}
