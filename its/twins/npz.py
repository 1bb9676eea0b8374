"""Random images in a `.npz`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def write(path: str, *, shape: Sequence[int], classes: int, count: int) -> None:
    """Write `count` random images of event shape (C, H, W), and their class ids, to the `.npz` at `path`."""
    random = np.random.Generator(np.random.Philox(key=0))
    channels, height, width = shape
    images = random.integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    np.savez(path, arr_0=images, arr_1=np.arange(count) % max(1, classes))
