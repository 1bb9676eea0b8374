"""The contract of sets of images: they are read in batches, whatever file or folder they lie in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Protocol

import numpy as np

NO_CLASS = -1
"""Label of an image of unknown class."""

Shape = tuple[int, int, int]
"""Event shape (C, H, W) of an image."""

Batch = tuple[np.ndarray, np.ndarray]
"""uint8 images `[n, H, W, C]` and their class ids, int64 `[n]`."""


class ImageSet(Protocol):
    """A set of images of one shape, with class ids.

    Attributes:
        source: name in messages.
        account: what the set took, and what it left out and why, in a sentence.
        shape: of an image, before any of them but the first is read.
        form: see `form_of`.
    """

    @property
    def source(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def shape(self) -> Shape: ...

    def __len__(self) -> int: ...

    def batches(self, rows: int) -> Iterator[Batch]:
        """Yield all images, at most `rows` at a time, always in the same order.

        Raises:
            ValueError: an image cannot be read, or has another size than the others.
        """
        ...

    def fingerprint(self) -> str:
        """Hash the images and their labels, or the files that hold them."""
        ...


@dataclass(frozen=True, eq=False)
class Loaded:
    """An image set in memory: uint8 `[n, H, W, C]` and class ids int64 `[n]`."""

    source: str
    images: np.ndarray
    labels: np.ndarray
    form: ClassVar[str] = "lossless"

    @property
    def account(self) -> str:
        return account(self)

    @property
    def shape(self) -> Shape:
        height, width, channels = self.images.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, rows: int) -> Iterator[Batch]:
        for first in range(0, len(self), rows):
            yield self.images[first : first + rows], self.labels[first : first + rows]

    def fingerprint(self) -> str:
        digest = sha256(repr(self.images.shape).encode())
        for array in (self.images, self.labels):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def form_of(images: ImageSet) -> str:
    """Return the format in which a set's pixels lie on disk, `lossless` or `JPEG`, and what was done to them.

    A set says it as `form`; one of an author's own may not.
    """
    return str(getattr(images, "form", "in a format that is not said"))


def account(images: ImageSet, left_out: str = "") -> str:
    """Return the sentence that says how many images of which shape a set took, and what it left out."""
    channels, height, width = images.shape
    return (
        f"{images.source}: {len(images)} images of {height}x{width} in {'grey' if channels == 1 else 'RGB'}{left_out}"
    )
