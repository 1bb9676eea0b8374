"""A reference: the statistics and features of real images that generated ones are compared with."""

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
    """Moments of real images, and their features one by one where known.

    Attributes:
        moments: of the features.
        spatial: of sFID's features.
        images: features and labels; their logits are left out.
        second: of a second network's features.
    """

    moments: Moments
    spatial: Moments | None = None
    images: Features | None = None
    second: Moments | None = None

    def part(self, name: str) -> Any:
        """Return the part that a metric is compared `against`; see `its.metric.metric.Metric`."""
        return None if name == "nothing" else getattr(self, name)


def extract_reference(images: ImageSet, extractor: Extractor) -> Reference:
    """Extract the features of real images in one pass; of the spatial ones only moments are returned."""
    features, labels, pending = [], [], []
    spatial: Moments | None = None
    for batch, ids in images.batches(ROWS):
        arrays = extractor(batch)
        require_finite(f"features of {images.source}", arrays["features"])
        features.append(arrays["features"])
        labels.append(ids)
        # Add spatial features to their moments once a block is full.
        if "spatial" in arrays:
            pending.append(arrays["spatial"])
            if sum(map(len, pending)) >= BLOCK_ROWS:
                spatial, pending = _added(spatial, pending), []
    if pending:
        spatial = _added(spatial, pending)
    rows = np.concatenate(features)
    whole = Features.of({"features": rows}, np.concatenate(labels))
    return Reference(whole.moments, spatial, whole)


def extract_features(images: ImageSet, extractor: Extractor) -> Features:
    """Extract every array of every image of a generated set."""
    batches: list[dict[str, np.ndarray]] = []
    labels = []
    for batch, ids in images.batches(ROWS):
        batches.append(extractor(batch))
        labels.append(ids)
    arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    return Features.of(arrays, np.concatenate(labels))


def _added(moments: Moments | None, blocks: list[np.ndarray]) -> Moments:
    block = Moments.of(np.concatenate(blocks))
    return block if moments is None else moments.merge(block)
