"""Images in a folder, and the two ways in which papers make images square.

Classes come from names like `00012_label7.png`, else from subfolders in alphabetical order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from its.dataset.image_set import NO_CLASS, Batch

if TYPE_CHECKING:
    from PIL.Image import Image

Crop = Literal["none", "adm", "squash"]
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
THREADS = 4

_LABEL = re.compile(r"_label(\d+)$")


@dataclass(frozen=True)
class Folder:
    """All images at or below a path, in the order of their names, as RGB.

    Attributes:
        path: the folder.
        crop: `none` takes images as they are, all of one size; `adm` is Dhariwal and Nichol's centre crop (2021,
            arXiv:2105.05233); `squash` scales both sides to `size`, whatever the proportions, as Zhang et al.'s
            statistics do (2025, arXiv:2505.23614).
        size: height and width after `adm` or `squash`.

    Raises:
        ValueError: there is no image, or `crop` and `size` contradict each other.
    """

    path: str
    crop: Crop = "none"
    size: int | None = None

    def __post_init__(self) -> None:
        if self.crop not in get_args(Crop):
            raise ValueError(f"crop is {self.crop!r}; choose one of {', '.join(get_args(Crop))}")
        if (self.size is None) != (self.crop == "none") or (self.size is not None and self.size < 1):
            raise ValueError(
                f"crop is {self.crop} and size is {self.size}; adm and squash have a size of 1 or more, none has null"
            )
        if not self.files:
            raise ValueError(
                f"there are no images ({', '.join(SUFFIXES)}) below {self._root.absolute()}; give a folder of images"
            )

    @property
    def source(self) -> str:
        return self.path

    @property
    def _root(self) -> Path:
        return Path(self.path).expanduser()

    @cached_property
    def files(self) -> list[Path]:
        paths = (path for path in self._root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        return sorted(paths, key=lambda path: path.relative_to(self._root).as_posix())

    @cached_property
    def labels(self) -> np.ndarray:
        """The class ids, int64 `[n]`; -1 where neither name nor subfolder says one."""
        folders = sorted({path.relative_to(self._root).parts[0] for path in self.files if path.parent != self._root})
        number = {name: k for k, name in enumerate(folders)}
        labels = []
        for path in self.files:
            suffix = _LABEL.search(path.stem)
            labels.append(int(suffix[1]) if suffix else number.get(path.relative_to(self._root).parts[0], NO_CLASS))
        return np.array(labels, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, rows: int) -> Iterator[Batch]:
        shape = None
        with ThreadPoolExecutor(THREADS) as pool:
            for first in range(0, len(self), rows):
                files = self.files[first : first + rows]
                images = list(pool.map(self._read, files))
                shape = shape or images[0].shape
                for file, image in zip(files, images, strict=True):
                    if image.shape != shape:
                        raise ValueError(
                            f"{file} has shape {image.shape}, and {self.files[0]} has {shape}; set crop "
                            "(adm or squash) and size"
                        )
                yield np.stack(images), self.labels[first : first + rows]

    def fingerprint(self) -> str:
        digest = sha256(f"{self.crop} {self.size}\0".encode())
        for path in self.files:
            content = sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(self._root).as_posix()}\0{content}\0".encode())
        return digest.hexdigest()

    def _read(self, path: Path) -> np.ndarray:
        from PIL import Image

        try:
            with Image.open(path) as opened:
                image = opened.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{path} cannot be read as an image ({error}); make it again or take it out") from error
        return np.asarray(squared(image, self.crop, self.size))


def squared(image: Image, crop: Crop, size: int | None) -> Image:
    """Make an image `size` x `size`; see `Folder` for the two ways.

    `adm` halves the image by box filter while both sides stay at least twice `size`, then scales and crops.
    """
    from PIL.Image import Resampling

    if size is None:
        return image
    if crop == "squash":
        return image.resize((size, size), Resampling.BILINEAR)
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Resampling.BOX)
    zoom = size / min(image.size)
    image = image.resize((round(image.width * zoom), round(image.height * zoom)), Resampling.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))
