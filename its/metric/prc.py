"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991, eq 1 and 2).

The numbers are those of torch-fidelity's function, which holds 2,048 rows of the distance matrix where 2,048² will do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from its import parameters
from its.metric.features import Features, Float32, Float64, Int64, require_count, require_same_width, shortage

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_ROWS = 2048
"""Rows and columns of the distance matrix computed at once: 34 MB."""


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
        # float64, centred: cdist subtracts squared norms, which in float32 blurs neighbours.
        centre = reference.moments.mean
        generated, real = (Points(x.features, centre) for x in (sample, reference))
        recall = _share(real.inside(generated, generated.radii(self.neighborhood)))
        precision = _share(generated.inside(real, real.radii(self.neighborhood)))
        error = (precision * (1 - precision) / len(sample)) ** 0.5
        return {"precision": precision, "precision_se": error, "recall": recall}


@dataclass(frozen=True)
class Points:
    """Feature vectors whose distances are computed a square of `BLOCK_ROWS` at a time, in float64.

    Attributes:
        features: float32 `[n, d]`.
        centre: which is subtracted, float64 `[d]`.
    """

    features: Float32
    centre: Float64

    def radii(self, neighborhood: int) -> Tensor:
        """Return each point's distance from its k-th neighbour, `[n]`; the point itself is the nearest to itself."""
        import torch

        radii = []
        for rows in self._blocks():
            nearest = torch.empty((len(rows), 0), dtype=rows.dtype)
            for columns in self._blocks():
                distances = torch.cat([nearest, torch.cdist(rows, columns)], dim=1)
                nearest = distances.topk(min(neighborhood + 1, distances.shape[1]), largest=False).values
            radii.append(nearest[:, -1])
        return torch.cat(radii)

    def inside(self, others: Points, radii: Tensor) -> Tensor:
        """Return whether each point lies in the ball of any other, of these radii `[others]`: bool `[n]`."""
        import torch

        flags = []
        for rows in self._blocks():
            inside = torch.zeros(len(rows), dtype=torch.bool)
            for columns, reach in zip(others._blocks(), radii.split(BLOCK_ROWS), strict=True):
                inside |= (torch.cdist(rows, columns) <= reach).any(dim=1)
            flags.append(inside)
        return torch.cat(flags)

    def _blocks(self) -> Iterator[Tensor]:
        import torch

        for start in range(0, len(self.features), BLOCK_ROWS):
            yield torch.from_numpy(self.features[start : start + BLOCK_ROWS] - self.centre)


def _share(inside: Tensor) -> float:
    """Return the share of points, rounded as torch-fidelity rounds it."""
    return float(inside.float().mean().item())
