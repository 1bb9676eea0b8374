"""The arrays of a shard under `store.images`: with all images, with those that sample grids show, or with none.

What is left out has its sha256 in `digest`, uint8 `[m, 32]`, a row for each different image in the order of `pick`.
`images` then holds the first rows alone, those of the first problems, or is absent; so is `noise`.
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np

from its.disk.kept import SHOWN
from its.disk.store import Arrays

LARGE = ("images", "noise")
"""Arrays of a shard that are large."""


def stored(arrays: Arrays, storage: str) -> Arrays:
    """Return a whole shard's arrays as a run that keeps `kept` stores them."""
    if storage == "all":
        return arrays
    small = {name: array for name, array in arrays.items() if name not in LARGE}
    rows = _rows_shown(arrays) if storage == "preview" else 0
    images = {"images": arrays["images"][:rows]} if rows else {}
    return {**small, **images, "digest": digests(arrays["images"])}


def without_pixels(arrays: Arrays) -> dict[str, np.ndarray]:
    """Return a shard's small arrays, its own copies; of images there is only how many they are: uint8 `[m, 0]`."""
    small = {name: np.array(array) for name, array in arrays.items() if name not in LARGE}
    return small | ({"images": np.empty((len(arrays["images"]), 0), np.uint8)} if "images" in arrays else {})


def digests(images: np.ndarray) -> np.ndarray:
    """Return the sha256 of each image's bytes, uint8 `[m, 32]`."""
    rows = [np.frombuffer(sha256(np.ascontiguousarray(image).data).digest(), np.uint8) for image in images]
    return np.stack(rows) if rows else np.zeros((0, 32), np.uint8)


def kept_by(arrays: Arrays) -> str:
    """Return which images a shard keeps."""
    if "digest" not in arrays:
        return "all"
    return "preview" if len(arrays.get("images", ())) >= _rows_shown(arrays) else "none"


def refuse_other_images(present: Arrays, whole: Arrays, name: str) -> None:
    """See that images which are made again, for they are not stored, are those that were measured.

    Args:
        present: the shard's arrays on disk. whole: of the shard that was made.
        name: of the file.

    Raises:
        ValueError: one is another.
    """
    if "digest" not in present:
        return
    n = min(len(present["pick"]), len(whole["pick"]))
    before, now = present["pick"][:n], whole["pick"][:n]
    same = (present["digest"][before] == digests(whole["images"])[now]).all(axis=-1)
    rows, _ = np.nonzero(~same & (before >= 0) & (now >= 0))
    if len(rows):
        raise ValueError(
            f"image {present['index'][rows[0]]} of {name} was not stored, and comes out here as another than the one "
            "that was measured: on another device, or with another batch= or another version of a package; make it "
            "where it was made, or choose another name= or out_dir="
        )


def _rows_shown(arrays: Arrays) -> int:
    """Return how many of a shard's different images are of problems that a sample grid shows: its first ones."""
    return int(arrays["pick"][arrays["index"] < SHOWN].max(initial=-1)) + 1
