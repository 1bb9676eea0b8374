"""Images in a `.npz`: OpenAI's arrays (`arr_0`, `arr_1`), and `arr` with `label_arr`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from itertools import repeat
from pathlib import Path
from typing import ClassVar

import numpy as np

from its.dataset.class_folders import MOST_CLASS
from its.dataset.image_set import NO_CLASS, Batch, Shape, account
from its.disk.npz import Archive, Header

IMAGES = ("arr_0", "arr")
LABELS = ("arr_1", "label_arr")
STATISTICS = ("mu", "sigma", "mu_s", "sigma_s")
"""Arrays that may lie beside the images, and are read by others."""

RANGE = "save np.rint(255 * images).astype(np.uint8) if they lie in [0, 1], np.rint(127.5 * (images + 1)) if in [-1, 1]"


@dataclass(frozen=True)
class Npz:
    """An image set in a `.npz`: uint8 `[n, H, W, C]`, and class ids `[n]` if there are any; it is read as a stream.

    Raises:
        ValueError: the file is damaged or hostile, or holds no such images.
    """

    path: str
    form: ClassVar[str] = "lossless"

    def __post_init__(self) -> None:
        headers = self.archive.headers
        if not has_images(self.archive):
            raise ValueError(
                f"{self.path} holds {', '.join(headers)}, and no images in {' or '.join(IMAGES)}; "
                "statistics can only be the reference, and images are saved anew under a name that is read: "
                "np.savez(path, arr_0=images, arr_1=class_ids)"
            )
        for names in (IMAGES, LABELS):
            if all(name in headers for name in names):
                raise ValueError(f"{self.path} holds {' and '.join(names)}, and which is meant is not said; keep one")
        _check_images(f"{self._images} of {self.path}", headers[self._images])
        if self._labels:
            _check_labels(f"{self._labels} of {self.path}", headers[self._labels], len(self))

    @property
    def source(self) -> str:
        return self.path

    @property
    def account(self) -> str:
        others = [name for name in self.archive.headers if name not in (*IMAGES, *LABELS, *STATISTICS)]
        classes = f", classes from {self._labels}" if self._labels else ", no classes"
        return account(self, classes + (f"; left out: {', '.join(others)}" if others else ""))

    @property
    def shape(self) -> Shape:
        _, height, width, channels = self.archive.headers[self._images].shape
        return channels, height, width

    @cached_property
    def archive(self) -> Archive:
        return Archive(Path(self.path).expanduser())

    def __len__(self) -> int:
        return self.archive.headers[self._images].shape[0]

    def batches(self, rows: int) -> Iterator[Batch]:
        labels = self.archive.rows(self._labels, rows) if self._labels else repeat(None)
        brightest = 0
        for images, ids in zip(self.archive.rows(self._images, rows), labels, strict=False):
            brightest = max(brightest, int(images.max()))
            yield images, np.full(len(images), NO_CLASS) if ids is None else self._class_ids(ids)
        if brightest == 1:
            raise ValueError(f"{self._images} of {self.path} holds nothing above 1; {RANGE}")

    def fingerprint(self) -> str:
        with self.archive.path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()

    def _class_ids(self, ids: np.ndarray) -> np.ndarray:
        if min(ids) < NO_CLASS or max(ids) >= MOST_CLASS:
            raise ValueError(
                f"{self._labels} of {self.path} holds {min(ids)} to {max(ids)}; class ids lie in [0, 2**31), and -1 "
                "stands for no class"
            )
        return ids.astype(np.int64)

    @property
    def _images(self) -> str:
        return next(name for name in IMAGES if name in self.archive.headers)

    @property
    def _labels(self) -> str | None:
        return next((name for name in LABELS if name in self.archive.headers), None)


def _check_images(name: str, header: Header) -> None:
    """Refuse an array that is not for certain uint8 images, channels last.

    Raises:
        ValueError: naming type and shape.
    """
    shape = header.shape
    wrong = f"{name} is {header.dtype} of shape {shape}; images are uint8 [n, H, W, C] with C 1 or 3: "
    if len(shape) == 3:
        raise ValueError(f"{wrong}save grey ones as images[..., None]")
    if len(shape) != 4 or min(shape) < 1 or (shape[3] not in (1, 3) and shape[1] not in (1, 3)):
        raise ValueError(f"{wrong}save them so")
    if shape[3] not in (1, 3) or (shape[1] in (1, 3) and shape[1] != shape[2]):
        raise ValueError(f"{wrong}save images.transpose(0, 2, 3, 1), if channels come first")
    if header.dtype != np.uint8:
        raise ValueError(wrong + RANGE)
    if header.fortran:
        raise ValueError(
            f"{wrong}save np.ascontiguousarray of it, for it is in Fortran order and rows are read in turn"
        )


def _check_labels(name: str, header: Header, images: int) -> None:
    """Refuse an array that is not for certain one class id for each image.

    Raises:
        ValueError: naming type and shape.
    """
    wrong = (
        f"{name} is {header.dtype} of shape {header.shape}, and there are {images} images; it is one class id each: "
    )
    if header.shape[:1] == (images,) and len(header.shape) == 2:
        column = header.shape[1] == 1
        raise ValueError(wrong + ("save labels[:, 0]" if column else "save labels.argmax(1), if they are one-hot"))
    if header.shape != (images,):
        raise ValueError(f"{wrong}save as many as there are images, or none")
    if header.dtype.kind not in "iu":
        raise ValueError(f"{wrong}save whole numbers, labels.astype(np.int64)")


def has_images(archive: Archive) -> bool:
    """Return whether a `.npz` holds images, and not statistics alone."""
    return any(name in archive.headers for name in IMAGES)
