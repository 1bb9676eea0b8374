"""Images in a `.npz`: OpenAI's arrays (`arr_0`, `arr_1`), and `arr` with `label_arr`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from itertools import repeat
from pathlib import Path

import numpy as np

from its.dataset.image_set import NO_CLASS, Batch
from its.disk.npz import Archive

IMAGES = ("arr_0", "arr")
LABELS = ("arr_1", "label_arr")


@dataclass(frozen=True)
class Npz:
    """An image set in a `.npz`: uint8 `[n, H, W, C]`, and class ids `[n]` if there are any; it is read as a stream.

    Raises:
        ValueError: the file is damaged or hostile, or holds no such images.
    """

    path: str

    def __post_init__(self) -> None:
        # Check the images.
        headers = self.archive.headers
        if not has_images(self.archive):
            raise ValueError(
                f"{self.path} holds {', '.join(headers)}, and no images in {' or '.join(IMAGES)}; "
                "statistics can only be the reference"
            )
        header = headers[self._images]
        if header.dtype != np.uint8 or len(header.shape) != 4 or header.shape[3] not in (1, 3) or not header.shape[0]:
            raise ValueError(
                f"{self._images} of {self.path} is {header.dtype} of shape {header.shape}; images are "
                "uint8 [n, H, W, C] with C 1 or 3"
            )

        # Check the labels.
        if self._labels and headers[self._labels].shape != header.shape[:1]:
            raise ValueError(
                f"{self._labels} of {self.path} has shape {headers[self._labels].shape}, and there are "
                f"{header.shape[0]} images; it is one class id each"
            )

    @property
    def source(self) -> str:
        return self.path

    @cached_property
    def archive(self) -> Archive:
        return Archive(Path(self.path).expanduser())

    def __len__(self) -> int:
        return self.archive.headers[self._images].shape[0]

    def batches(self, rows: int) -> Iterator[Batch]:
        labels = self.archive.rows(self._labels, rows) if self._labels else repeat(None)
        for images, ids in zip(self.archive.rows(self._images, rows), labels, strict=False):
            yield images, np.full(len(images), NO_CLASS) if ids is None else ids.astype(np.int64)

    def fingerprint(self) -> str:
        with self.archive.path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    @property
    def _images(self) -> str:
        return next(name for name in IMAGES if name in self.archive.headers)

    @property
    def _labels(self) -> str | None:
        return next((name for name in LABELS if name in self.archive.headers), None)


def has_images(archive: Archive) -> bool:
    """Return whether a `.npz` holds images, and not statistics alone."""
    return any(name in archive.headers for name in IMAGES)
