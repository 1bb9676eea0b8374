"""From uint8 images to features and logits: what every metric is computed from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from its.dataset.mixture import Mixture
from its.pixels import from_uint8


class Extractor(Protocol):
    """A held-out network that measures; it never verifies.

    Attributes:
        name: of the folder that its features are stored in; other weights have another.
        offers: which of the arrays that metrics read it makes; see `its.metric.metric.Metric`.
        widths: how many numbers an image's features (`moments`) and spatial ones (`spatial`) are, as far as known.
        fingerprint: hash of the network that the features come from; None if it has none, and is quick to ask again.
    """

    name: str
    offers: frozenset[str]
    widths: Mapping[str, int]

    @property
    def fingerprint(self) -> str | None: ...

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """`features` float32 `[n, d]` and `logits` `[n, k]` of uint8 images `[n, H, W, C]`, and perhaps `spatial` and
        `classes`."""
        ...


class NetworkFeatures:
    """Penultimate features and logits of a classifier with `features` and `head`.

    Args:
        name: what the folder of its features begins with; a hash of the network follows.
        rows: images of one batch; every batch has this shape, so that features do not depend on grouping.
    """

    offers = frozenset({"features", "logits", "classes"})
    widths: Mapping[str, int] = MappingProxyType({})
    fingerprint = None

    def __init__(self, network: Any, name: str, rows: int = 256) -> None:
        self.name = f"{name}-{hash_of(network)[:8]}"
        self._network = network
        self._rows = rows

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        features, logits = [], []
        for padded, count in padded_batches(images, self._rows):
            with torch.inference_mode():
                found: Tensor = self._network.features(from_uint8(torch.from_numpy(padded)))
                features.append(found[:count].numpy())
                logits.append(self._network.head(found)[:count].numpy())
        return {"features": np.concatenate(features), "logits": np.concatenate(logits)}


class MixtureFeatures:
    """The pixels themselves, and the exact log-likelihood of every component."""

    name = "pixels"
    offers = frozenset({"features", "logits", "classes"})
    widths: Mapping[str, int] = MappingProxyType({})
    fingerprint = None

    def __init__(self, data: Mixture) -> None:
        self._data = data

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        pixels = from_uint8(torch.from_numpy(images))
        return {"features": pixels.flatten(1).numpy(), "logits": self._data.logits(pixels).float().numpy()}


def hash_of(network: Any) -> str:
    """Of a network's type, settings and weights."""
    digest = sha256(f"{type(network).__qualname__} {network.extra_repr()}".encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def padded_batches(images: np.ndarray, rows: int) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of exactly `rows` images, the last filled up with copies, and how many of each count."""
    for first in range(0, len(images), rows):
        part = images[first : first + rows]
        yield np.concatenate([part, np.repeat(part[-1:], rows - len(part), axis=0)]), len(part)
