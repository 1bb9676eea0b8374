"""Two networks that measure the same images in one pass: the report network, and a second one for a second opinion."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from its.metric.extractor import Extractor


class Beside(Extractor):
    """An extractor of what the first makes, and of the second's features as `second`.

    Raises:
        ValueError: the second is none.
    """

    def __init__(self, first: Extractor, second: Extractor) -> None:
        self.first, self.second = first, second
        self.name = f"{first.name}+{second.name}"
        self.offers = frozenset(first.offers) | {"second"}
        widths = {"second": second.widths["moments"]} if "moments" in second.widths else {}
        self.widths = MappingProxyType({**first.widths, **widths})
        prints = (first.fingerprint, second.fingerprint)
        self.fingerprint = None if None in prints else "+".join(map(str, prints))

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return {**self.first(images), "second": self.second(images)["features"]}
