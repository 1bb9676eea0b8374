"""FID class by class, by which Ye et al. 2024 (arXiv 2409.15761) judge class-conditional guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from its.metric.features import Features, Int64
from its.metric.fid import frechet_distance


@dataclass(frozen=True)
class ClassFid:
    """The FID between images that were asked for a class and real images of it, and its mean over the classes.

    With fewer images of a class than features, the usual case, FID is far above that of many images: compare equal
    numbers only. Each class takes about as long as FID.

    Attributes:
        classes: class ids; null is every class that was asked for.
    """

    classes: Sequence[int] | None = None
    reads: ClassVar[str] = "features"
    against: ClassVar[str] = "images"

    def shortage(self, labels: Int64, classes: Sequence[int]) -> str:
        """Say which images are lacking; see `its.metric.metric.Metric`."""
        for k in sorted(classes if self.classes is None else self.classes):
            count = int((labels == k).sum())
            if k < 0 or count < 2:
                return f"needs 2 images of each class, and of class {k} there are {count}"
        return ""

    def __call__(self, sample: Features, reference: Features) -> dict[str, float]:
        """Compare the two sets class by class, by the labels of both.

        Raises:
            ValueError: a class has fewer than two images on either side, or images have no class.
        """
        classes = sorted(self.classes) if self.classes is not None else np.unique(sample.labels).tolist()
        columns = {}
        for k in classes:
            counts = [int((side.labels == k).sum()) for side in (sample, reference)]
            if k < 0 or min(counts) < 2:
                raise ValueError(
                    f"FID of class {k} has {counts[0]} generated and {counts[1]} real images with that "
                    "label; it needs 2 of each: make more, take a reference with labels, or set "
                    "metric.class_fid.classes"
                )
            generated, real = (side.take(side.labels == k) for side in (sample, reference))
            columns[f"fid_class_{k}"] = frechet_distance(generated.moments, real.moments)
        return {"class_fid": float(np.mean(list(columns.values()))), **columns}
