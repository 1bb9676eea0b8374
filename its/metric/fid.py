"""Fréchet inception distance (Heusel et al. 2017, arXiv 1706.08500, eq 6) with its standard error.

The distance is Dowson and Landau 1982; the error is the infinitesimal jackknife (Jaeckel 1972;
Efron 1982, ch. 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from its.metric.features import (
    BLOCK_ROWS,
    Features,
    Float64,
    Int64,
    Moments,
    require_count,
    require_same_width,
    shortage,
)


@dataclass(frozen=True)
class Fid:
    """The FID of Inception features, or of another extractor's; 0 is best.

    `fid_se` is the standard deviation of FID over new sets of as many images, with a fixed
    reference. It leaves out FID's bias, which is positive, of order 1/n and often larger: compare
    equal numbers of images only.
    Over simulated sets the error is right within 5 % once n is three times the features, and up to
    1.6 times too large with fewer images, or where sample and reference are alike.
    """

    reads: ClassVar[str] = "features"
    against: ClassVar[str] = "moments"

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        return shortage(len(labels), least=2)

    def __call__(self, sample: Features, reference: Features | Moments) -> dict[str, float]:
        """Compare `sample` with `reference`, of which moments are enough."""
        target = reference if isinstance(reference, Moments) else reference.moments
        distance, error = distance_and_error(sample.features, sample.moments, target)
        return {"fid": distance, "fid_se": error}


def distance_and_error(features: NDArray[np.floating], sample: Moments, reference: Moments) -> tuple[float, float]:
    """Compute the Fréchet distance of `features` [image, feature] with moments `sample`, and its standard error."""
    distance = frechet_distance(sample, reference)
    effects = influence(features, sample, reference)
    n = len(features)
    # n - 1 as in the standard error of a mean, which this is when FID is linear in its sample.
    return distance, float(np.sqrt(np.sum(effects**2) / (n * (n - 1))))


def frechet_distance(a: Moments, b: Moments) -> float:
    """Compute |mean_a - mean_b|² + tr(A + B - 2 (AB)^½) for covariances A and B.

    With A = F Fᵀ and B = G Gᵀ the eigenvalues of AB, or of A^½ B A^½, are the squares of the
    singular values of Gᵀ F, so tr (AB)^½ is the sum of these: no root of a rounded eigenvalue is
    needed. The result is not cut at 0: between equal sets it is 0 up to rounding, of either sign.
    """
    _require_comparable(a, b)
    overlap = np.linalg.svd(b.factor.T @ a.factor, compute_uv=False).sum()
    shift = a.mean - b.mean
    return float(shift @ shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * overlap)


def influence(features: NDArray[np.floating], sample: Moments, reference: Moments) -> Float64:
    """Differentiate FID by the weight of each image, all weights shrinking to make room: [image].

    With mean m and covariance S of the sample, r and R of the reference and c = n / (n - 1),

        IF_i = 2 (m - r)·(x_i - m) + c (x_i - m)ᵀ(I - T)(x_i - m) - tr((I - T) S),

    because d tr(SR)^½ = ½ tr(T dS), where T = S^-½ (S^½ R S^½)^½ S^-½ is the optimal transport of
    N(m, S) to N(r, R). With R = G Gᵀ, S = F Fᵀ and Gᵀ F = U Σ Vᵀ the same T is G U Σ⁻¹ Uᵀ Gᵀ,
    which needs no inverse of S: the images do not vary in directions that S lacks, so that both
    forms agree at every x_i - m. c accounts for the covariance's n - 1, so that the IF_i sum to 0.
    """
    _require_comparable(sample, reference)
    # Factor Gᵀ F = U Σ Vᵀ, and T = half halfᵀ by its significant singular values.
    left, overlap, _ = np.linalg.svd(reference.factor.T @ sample.factor, full_matrices=False)
    largest = overlap.max(initial=0.0)
    significant = overlap > max(sample.mean.size, 1) * np.finfo(np.float64).eps * largest
    half_transport = reference.factor @ (left[:, significant] / np.sqrt(overlap[significant]))

    # Evaluate IF_i block by block.
    offset = np.trace(sample.covariance) - overlap[significant].sum()
    bessel = len(features) / (len(features) - 1)
    effects = np.empty(len(features))
    for start in range(0, len(features), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        centred = features[rows].astype(np.float64) - sample.mean
        spread = np.sum(centred**2, axis=1) - np.sum((centred @ half_transport) ** 2, axis=1)
        effects[rows] = 2 * centred @ (sample.mean - reference.mean) + bessel * spread - offset
    return effects


def _require_comparable(a: Moments, b: Moments) -> None:
    require_same_width(a, b)
    require_count("FID", min((x.count for x in (a, b) if x.count is not None), default=2), least=2)
