"""From uint8 images to features and logits: what every metric is computed from."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from its.dataset.mixture import Mixture
from its.pixels import from_uint8


class Extractor(Protocol):
    """A held-out network that measures; it never verifies.

    Attributes:
        name: of the folder that its features are stored in.
    """

    name: str

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features float32 `[n, d]` and logits float32 `[n, k]` of uint8 images `[n, H, W, C]`."""
        ...


class NetworkFeatures:
    """Penultimate features and logits of a classifier with `features` and `head`.

    Args:
        rows: images of one batch; every batch has this shape, so that features do not depend on grouping.
    """

    def __init__(self, network: Any, name: str, rows: int = 256) -> None:
        self.name = name
        self._network = network
        self._rows = rows

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        features, logits = [], []
        for first in range(0, len(images), self._rows):
            part = images[first : first + self._rows]
            padded = np.concatenate([part, np.repeat(part[-1:], self._rows - len(part), axis=0)])
            with torch.inference_mode():
                found: Tensor = self._network.features(from_uint8(torch.from_numpy(padded)))
                features.append(found[: len(part)].numpy())
                logits.append(self._network.head(found)[: len(part)].numpy())
        return np.concatenate(features), np.concatenate(logits)


class MixtureFeatures:
    """The pixels themselves, and the exact log-likelihood of every component."""

    name = "pixels"

    def __init__(self, data: Mixture) -> None:
        self._data = data

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        pixels = from_uint8(torch.from_numpy(images))
        return pixels.flatten(1).numpy(), self._data.logits(pixels).float().numpy()
