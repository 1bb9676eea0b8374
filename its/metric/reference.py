"""What generated images are compared with, as much of it as its source has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from its.dataset.image_set import ImageSet
from its.metric.extractor import Extractor
from its.metric.features import BLOCK_ROWS, Features, Moments, require_finite

ROWS = 1024
"""Images held at once."""


@dataclass(frozen=True, eq=False)
class Reference:
    """Statistics of real images, and their features one by one if they are known.

    Attributes:
        moments: of the features. spatial: of sFID's.
        images: features and labels; their logits are not kept.
    """

    moments: Moments
    spatial: Moments | None = None
    images: Features | None = None

    def part(self, name: str) -> Any:
        """What a metric is compared `against`; see `its.metric.metric.Metric`."""
        return None if name == "nothing" else getattr(self, name)


def measure_reference(images: ImageSet, extractor: Extractor) -> Reference:
    """Measure real images in one pass: features are kept, spatial ones only as moments."""
    features, labels, pending = [], [], []
    spatial: Moments | None = None
    for batch, ids in images.batches(ROWS):
        arrays = extractor(batch)
        require_finite(f"features of {images.source}", arrays["features"])
        features.append(arrays["features"])
        labels.append(ids)
        if "spatial" in arrays:
            pending.append(arrays["spatial"])
            if sum(map(len, pending)) >= BLOCK_ROWS:
                spatial, pending = _added(spatial, pending), []
    if pending:
        spatial = _added(spatial, pending)
    every = np.concatenate(features)
    kept = Features(every, np.zeros((len(every), 0), dtype=np.float32), np.concatenate(labels))
    return Reference(kept.moments, spatial, kept)


def measure_sample(images: ImageSet, extractor: Extractor) -> Features:
    """All arrays of all images, which metrics of a sample read."""
    found: list[dict[str, np.ndarray]] = []
    labels = []
    for batch, ids in images.batches(ROWS):
        found.append(extractor(batch))
        labels.append(ids)
    arrays = {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return Features(**arrays, labels=np.concatenate(labels))


def _added(moments: Moments | None, blocks: list[np.ndarray]) -> Moments:
    found = Moments.of(np.concatenate(blocks))
    return found if moments is None else moments.merge(found)
