"""The Fréchet distance of a second network's features (`its.metric.beside`), beside the first's FID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from its.metric.features import Features, Int64, Moments, shortage
from its.metric.fid import distance_and_error


@dataclass(frozen=True)
class SecondFd:
    """The Fréchet distance of DINOv2's features (FD-DINOv2), or another second network's; 0 is best.

    Its error and bias are those of FID (`its.metric.fid.Fid`).

    Attributes:
        column: its name in a curve, which says whose features they are.
    """

    column: str
    reads: ClassVar[str] = "second"
    against: ClassVar[str] = "second"

    def __post_init__(self) -> None:
        if not self.column.isidentifier():
            raise ValueError(f"column is {self.column!r}; it is a name of letters, digits and _, as fd_dinov2")

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        return shortage(len(labels), least=2)

    def __call__(self, sample: Features, reference: Moments) -> dict[str, float]:
        """Compare `sample` with the moments of the reference's features by the second network."""
        distance, error = distance_and_error(sample.with_second, sample.second_moments, reference)
        return {self.column: distance, f"{self.column}_se": error}
