"""Features of a set of images, and their first two moments: the input of every metric.

Moments merge by the pairwise update of Chan, Golub and LeVeque 1983 (The American Statistician 37,
242-247), so shards stream in any order and the raw features of a reference need not be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

BLOCK_ROWS = 4096
"""Rows converted to float64 at once: 64 MiB of Inception features and not 0.8 GB for 50 000 images."""

ROUNDING = 1e-6
"""Most negative eigenvalue, relative to the largest, that counts as float32 rounding."""


@dataclass(frozen=True, eq=False)
class Features:
    """The arrays that one extractor makes of a set of images, row i of image i."""

    features: Float32  # [image, feature]
    logits: Float32  # [image, class] of the held-out report classifier, or of Inception
    labels: Int64  # [image] class each image was asked for; of a reference, its true class
    spatial: Float32 | None = None  # [image, feature] of a layer that still knows where things are: sFID's
    classes: Float32 | None = None  # [image, class] of a held-out classifier; None: `logits` are of its classes
    second: Float32 | None = None  # [image, feature] of a second network
    prompts: Int64 | None = None  # [image] number of the prompt each image was asked for; None without prompts

    def __post_init__(self) -> None:
        # Check each array's type, axes and rows.
        for name, array, dtype, ndim in (
            ("features", self.features, np.float32, 2),
            ("logits", self.logits, np.float32, 2),
            ("labels", self.labels, np.int64, 1),
            ("spatial", self.spatial, np.float32, 2),
            ("classes", self.classes, np.float32, 2),
            ("second", self.second, np.float32, 2),
            ("prompts", self.prompts, np.int64, 1),
        ):
            if array is None:
                continue
            if array.dtype != dtype or array.ndim != ndim:
                raise TypeError(
                    f"{name} is {array.dtype} with {array.ndim} axes, but must be "
                    f"{np.dtype(dtype)} with {ndim}; convert it where it is read"
                )
            if len(array) != len(self.features):
                raise ValueError(
                    f"{name} has {len(array)} rows and features {len(self.features)}, but row i of "
                    "each must belong to image i; read them from the same shards"
                )
            require_finite(name, array)
        if self.width == 0:
            raise ValueError("features have width 0, but must have 1 or more; check the extractor")

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], labels: Int64, prompts: Int64 | None = None) -> Features:
        """Put an extractor's arrays together; of one that makes no logits their width is 0."""
        no_logits = np.zeros((len(labels), 0), dtype=np.float32)
        return cls(**{"logits": no_logits, **arrays}, labels=labels, prompts=prompts)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def width(self) -> int:
        """The number of features of an image."""
        return self.features.shape[1]

    @property
    def wishes(self) -> Int64:
        """The number of what each image was asked for: of its prompt, else of its class."""
        return self.labels if self.prompts is None else self.prompts

    @cached_property
    def moments(self) -> Moments:
        """The moments of the features, computed once: a reference serves every cap of a curve."""
        return Moments.of(self.features)

    @cached_property
    def spatial_moments(self) -> Moments:
        """The moments of the spatial features.

        Raises:
            ValueError: there are none.
        """
        return Moments.of(self.with_spatial)

    @property
    def with_spatial(self) -> Float32:
        """The spatial features; ValueError if there are none."""
        if self.spatial is None:
            raise ValueError("these images have no spatial features; take an extractor with spatial=true")
        return self.spatial

    @cached_property
    def second_moments(self) -> Moments:
        """The moments of the second network's features.

        Raises:
            ValueError: there are none.
        """
        return Moments.of(self.with_second)

    @property
    def with_second(self) -> Float32:
        """The second network's features; ValueError if there are none."""
        if self.second is None:
            raise ValueError("these images have no features of a second network; set dataset.second_report")
        return self.second

    @property
    def class_logits(self) -> Float32:
        """The logits over the dataset's own classes: the held-out classifier's, where there is one."""
        return self.logits if self.classes is None else self.classes

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Features:
        """Pick images by index or mask."""
        present = {name: array for field in fields(self) if (array := getattr(self, name := field.name)) is not None}
        return Features(**{name: array[rows] for name, array in present.items()})


@dataclass(frozen=True, eq=False)
class Moments:
    """The number, mean and covariance of feature vectors, in float64.

    The covariance divides by count - 1, as torch-fidelity's does; at counts 0 and 1 it is zero.
    """

    count: int | None  # >= 0; None where a file of statistics does not say
    mean: Float64  # [feature]
    covariance: Float64  # [feature, feature], symmetric, positive semi-definite

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", np.asarray(self.mean, dtype=np.float64))
        object.__setattr__(self, "covariance", np.asarray(self.covariance, dtype=np.float64))
        if self.count is not None and self.count < 0:
            raise ValueError(f"count is {self.count}, but must be >= 0; pass the number of images")

        # Check shapes and finiteness.
        if self.mean.ndim != 1 or self.covariance.shape != (self.width, self.width):
            raise ValueError(
                f"mean has shape {self.mean.shape} and covariance {self.covariance.shape}, but "
                "must have [feature] and [feature, feature]; take both from one file"
            )
        require_finite("mean", self.mean)
        require_finite("covariance", self.covariance)

        # Check symmetry.
        tilt = np.abs(self.covariance - self.covariance.T).max(initial=0.0)
        if tilt > ROUNDING * np.abs(self.covariance).max(initial=0.0):
            raise ValueError(
                f"covariance differs from its transpose by {tilt:.3g}, but must be symmetric; pass "
                "the covariance itself, not a factor of it"
            )

    @property
    def width(self) -> int:
        """The number of features of an image."""
        return self.mean.size

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Compute the moments of `features` [image, feature]; a shard may hold one image, or none."""
        if features.ndim != 2:
            raise ValueError(f"features has shape {features.shape}, but must be [image, feature]; flatten images")
        require_finite("features", features)
        width = features.shape[1]
        blocks = (features[i : i + BLOCK_ROWS] for i in range(0, len(features), BLOCK_ROWS))
        nothing = cls(0, np.zeros(width), np.zeros((width, width)))
        return reduce(Moments.merge, map(_block_moments, blocks), nothing)

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets together."""
        require_same_width(self, other)
        if self.count is None or other.count is None:
            raise ValueError("statistics without a count of images cannot be merged; make them again")
        count = self.count + other.count
        if self.count == 0 or other.count == 0:
            return other if self.count == 0 else self
        shift = other.mean - self.mean
        scatter = (self.count - 1) * self.covariance + (other.count - 1) * other.covariance
        scatter += np.outer(shift, shift) * (self.count * other.count / count)
        return Moments(count, self.mean + shift * (other.count / count), scatter / (count - 1))

    def add(self, features: NDArray[np.floating]) -> Moments:
        """Return these moments with one more batch [image, feature] in them."""
        return self.merge(Moments.of(features))

    @cached_property
    def factor(self) -> Float64:
        """The factor F [feature, rank] with covariance = F Fᵀ, of all eigenvalues that differ from zero.

        Rounding leaves eigenvalues of up to feature * 2e-16 * the largest where the exact one is 0, and
        the most negative one shows its size: eigenvalues below either are dropped, because their
        roots, 1e-8 of the largest's, would count.

        Raises:
            ValueError: an eigenvalue is more negative than rounding explains.
        """
        values, vectors = np.linalg.eigh((self.covariance + self.covariance.T) / 2)
        lowest, highest = (float(values[0]), float(values[-1])) if values.size else (0.0, 0.0)
        if lowest < -ROUNDING * max(highest, 0.0):
            raise ValueError(
                f"covariance has eigenvalues from {lowest:.3g} to {highest:.3g}, but must be "
                "positive semi-definite; recompute these statistics with Moments.of"
            )
        significant = values > max(values.size * np.finfo(np.float64).eps * highest, -lowest)
        factor: Float64 = vectors[:, significant] * np.sqrt(values[significant])
        return factor


def require_finite(name: str, array: NDArray[np.generic]) -> None:
    """Raise a ValueError that names the first row of `array` holding NaN or Inf."""
    if np.isfinite(array).all():
        return
    row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))
    raise ValueError(
        f"{name} holds NaN or Inf in row {row}, but a metric admits finite numbers only; look at "
        "that row's source and make it again"
    )


def require_count(metric: str, images: int, least: int) -> None:
    """Raise a ValueError if a metric is given fewer images than it is defined for."""
    if images < least:
        raise ValueError(f"{metric} is given {images} images, but needs {least}; make more images")


def shortage(images: int, least: int) -> str:
    """Say that there are fewer images than a metric is defined for; empty if there are enough."""
    return f"needs {least} images, and there are {images}" if images < least else ""


def require_same_width(a: Moments | Features, b: Moments | Features) -> None:
    """Raise a ValueError if the features of the two sets differ in width."""
    if a.width != b.width:
        raise ValueError(
            f"the two sets have {a.width} and {b.width} features, but must have the same; take both from one extractor"
        )


def _block_moments(features: NDArray[np.floating]) -> Moments:
    values = features.astype(np.float64)
    mean = values.mean(axis=0)
    values -= mean
    return Moments(len(values), mean, values.T @ values / max(len(values) - 1, 1))
