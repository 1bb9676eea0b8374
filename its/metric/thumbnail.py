"""Thumbnails as features: what can be said of images without a network."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool2d

from its.metric.extractor import Extractor
from its.pixels import from_uint8


class Thumbnail(Extractor):
    """An extractor of the pixels of images that are averaged over `side` x `side` places, in [-1, 1].

    Args:
        side: at least 1.
    """

    def __init__(self, side: int = 16) -> None:
        if side < 1:
            raise ValueError(f"dataset.report.side is {side}; it is 1 or more")
        self.name = f"thumbnail{side}"
        self.widths = MappingProxyType({"moments": 3 * side * side})
        self._side = side

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        rows = [adaptive_avg_pool2d(from_uint8(torch.from_numpy(image[None])), self._side) for image in images]
        colour = torch.cat([row.expand(-1, 3, -1, -1) for row in rows])
        return {"features": colour.flatten(1).contiguous().numpy()}
