"""Extractors: networks that turn uint8 images into the features and logits that metrics read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from its.dataset.mixture import Mixture
from its.pixels import from_uint8

ARRAYS = ("features", "logits", "spatial", "classes", "second")
"""Arrays that an extractor may offer: what metrics read."""


SPATIAL_CHANNELS = 7
"""Channels of spatial features, as in guided-diffusion's evaluator."""

PLACES = 4
"""Places to a side of spatial features that are not Inception's."""

BLOCK = 1024
"""Images that `extract_as_they_come` measures at once."""


class Extractor(Protocol):
    """A held-out network that measures images and never selects them; one of one's own inherits it.

    Attributes:
        name: name of the folder of its features; it changes with the weights.
        offers: which of `ARRAYS` it makes; `classes` alone may stand for logits over the dataset's own classes.
        widths: the width of an image's features (`moments`) and spatial features (`spatial`), as far as known.
        fingerprint: hash of the network; None where extracting is too quick to be worth a cache.
        rows: images of one batch, where a parameter of that name sizes it; else None.
    """

    name: str
    offers: frozenset[str] = frozenset({"features"})
    widths: Mapping[str, int] = MappingProxyType({})
    fingerprint: str | None = None
    rows: int | None = None

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Extract the arrays of uint8 images `[n, H, W, C]`, all float32.

        Returns:
            `features` `[n, d]`, and `logits` `[n, k]`, `spatial` `[n, s]` and `classes` `[n, c]` where it offers them.
        """
        ...


class NetworkFeatures(Extractor):
    """An extractor of penultimate features and logits, by a classifier with `features` and `head`.

    Args:
        network: images in [-1, 1] `[n, C, H, W]` to features, and features to logits.
        name: first part of the name of the features' folder; a hash of the network follows.
        rows: images of one batch; every batch has this shape, so that features do not depend on grouping.
        spatial: whether it offers spatial features too: the first channels of `network.maps`, averaged to 4x4 places.
    """

    offers = frozenset({"features", "logits", "classes"})
    rows: int

    def __init__(self, network: Any, name: str, rows: int = 256, *, spatial: bool = False) -> None:
        self.name = "-".join([name, hash_of(network)[:8], *["spatial"] * spatial])
        self.offers |= {"spatial"} if spatial else set()
        self._network = network
        self.rows = rows

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        parts: dict[str, list[np.ndarray]] = defaultdict(list)
        for padded, count in padded_batches(images, self.rows):
            with torch.inference_mode():
                for name, array in self._batch(from_uint8(torch.from_numpy(padded))).items():
                    parts[name].append(array[:count].numpy())
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _batch(self, images: Tensor) -> dict[str, Tensor]:
        features = self._network.features(images)
        arrays = {"features": features, "logits": self._network.head(features)}
        if "spatial" in self.offers:
            maps = self._network.maps(images)[:, :SPATIAL_CHANNELS]
            arrays["spatial"] = adaptive_avg_pool2d(maps, PLACES).movedim(1, -1).flatten(1)
        return arrays


class MixtureFeatures(Extractor):
    """An extractor for the mixture: the pixels themselves, and the exact log-likelihood of every component."""

    name = "pixels"
    offers = frozenset({"features", "logits", "classes"})

    def __init__(self, data: Mixture) -> None:
        self._data = data

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        pixels = from_uint8(torch.from_numpy(images))
        return {"features": pixels.flatten(1).numpy(), "logits": self._data.logits(pixels).float().numpy()}


def extract_as_they_come(
    images: Iterable[tuple[int, np.ndarray]], count: int, extractor: Extractor
) -> dict[str, np.ndarray]:
    """Extract the arrays of `count` numbered uint8 images `[H, W, C]`, in order; few of them are held at once."""
    waiting: dict[int, dict[int, np.ndarray]] = defaultdict(dict)
    blocks: dict[int, dict[str, np.ndarray]] = {}
    for index, image in images:
        block, place = divmod(index, BLOCK)
        waiting[block][place] = image
        if len(waiting[block]) == min(BLOCK, count - block * BLOCK):
            whole = waiting.pop(block)
            blocks[block] = extractor(np.stack([whole[place] for place in sorted(whole)]))
    parts = [blocks[block] for block in sorted(blocks)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def hash_of(network: Any) -> str:
    """Hash a network's type, settings and weights."""
    digest = sha256(f"{type(network).__qualname__} {network.extra_repr()}".encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.cpu().numpy().tobytes())
    return digest.hexdigest()


def padded_batches(images: np.ndarray, rows: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield batches of exactly `rows` images, the last filled up with copies, and the number of real ones in each."""
    for first in range(0, len(images), rows):
        part = images[first : first + rows]
        yield np.concatenate([part, np.repeat(part[-1:], rows - len(part), axis=0)]), len(part)
