"""Images in a folder, and the two ways in which papers make images square.

Classes come from names like `00012_label7.png`, else from subfolders (`its.dataset.class_folders`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from its.dataset.class_folders import REMEDY, class_ids
from its.dataset.class_names import ClassNames
from its.dataset.image_set import NO_CLASS, Batch, Shape, account
from its.dataset.picture import SUFFIXES, is_grey, read_picture

if TYPE_CHECKING:
    from PIL.Image import Image

Crop = Literal["none", "adm", "squash"]
THREADS = 4

LOSSY = {**dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"), ".webp": "WebP"}
"""Formats that may change pixels, by suffix."""

SYSTEM = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"})
"""Folders that systems make beside a user's; so are those whose names begin with a dot."""

SAMPLES = "dataset.json"
"""File in which EDM's and StyleGAN's tools say the classes; their folders 00000, 00001, ... are none."""

MOST_NAMED = 12
"""Classes and kinds of files that a sentence lists."""


@dataclass(frozen=True)
class Folder:
    """All images at or below a path, in the order of their names.

    Attributes:
        path: the folder.
        crop: `none` takes images as they are, all of one size; `adm` is Dhariwal and Nichol's centre crop (2021,
            arXiv:2105.05233); `squash` scales both sides to `size`, whatever the proportions, as Zhang et al.'s
            statistics do (2025, arXiv:2505.23614).
        size: height and width after `adm` or `squash`.
        channels: 3, or 1 for grey; null is 1 where every file is grey. See `its.dataset.picture.read_picture`.
        classes: whether names or subfolders say the class; false leaves every image without one.
        class_names: names of classes by id, or `imagenet` (names and synsets): what subfolders are called by, be they
            all or some; null lets them count in the alphabet.

    Raises:
        ValueError: there is no image, a class is not certain, or `crop` and `size` contradict each other.
    """

    path: str
    crop: Crop = "none"
    size: int | None = None
    channels: int | None = 3
    classes: bool = True
    class_names: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.crop not in get_args(Crop):
            raise ValueError(f"crop is {self.crop!r}; choose one of {', '.join(get_args(Crop))}")
        if (self.size is None) != (self.crop == "none") or (self.size is not None and self.size < 1):
            raise ValueError(
                f"crop is {self.crop} and size is {self.size}; adm and squash have a size of 1 or more, none has null"
            )
        if self.channels not in (1, 3, None):
            raise ValueError(f"channels is {self.channels!r}; it is 1, 3, or null: as the files are")
        if not self.files:
            raise ValueError(
                f"there are no images ({', '.join(SUFFIXES)}) below {self._root.absolute()}; give a folder of images"
                f"{self._left_out}"
            )
        _ = self.labels

    @property
    def source(self) -> str:
        return self.path

    @property
    def account(self) -> str:
        ids, counts = np.unique(self.labels, return_counts=True)
        lossy = f"; {self.form}, and a JPEG of this very size moves FID by points" * self._is_recompressed
        return account(self, f", {_classes(ids, counts, self._classes[1])}{self._left_out}{lossy}")

    @property
    def _is_recompressed(self) -> bool:
        """Return whether some pictures were saved as JPEG at the size at which they are compared."""
        return self.size is None and any(_kind(path) == "JPEG" for path in self.files)

    @property
    def form(self) -> str:
        """The format of the files, and what makes them square."""
        kinds = Counter(_kind(path) for path in self.files)
        count = len(kinds) > 1
        names = " and ".join(f"{kinds[kind]:,} {kind}" if count else kind for kind in sorted(kinds))
        return f"{names}, {'as they are' if self.size is None else f'by crop={self.crop}'}"

    @cached_property
    def shape(self) -> Shape:
        channels = self.channels or (1 if all(map(is_grey, self.files)) else 3)
        if self.size is not None:
            return channels, self.size, self.size
        first = read_picture(self.files[0], 3)
        return channels, first.height, first.width

    @property
    def _root(self) -> Path:
        return Path(self.path).expanduser()

    @cached_property
    def _survey(self) -> tuple[list[Path], Counter[str]]:
        return survey(self._root)

    @property
    def files(self) -> list[Path]:
        return self._survey[0]

    @property
    def _left_out(self) -> str:
        kinds = [f"{count} {kind}" for kind, count in self._survey[1].most_common(MOST_NAMED)]
        return f"; left out: {', '.join(kinds)}" if kinds else ""

    @property
    def labels(self) -> np.ndarray:
        """The class ids, int64 `[n]`; -1 where neither name nor subfolder says one."""
        return self._classes[0]

    @cached_property
    def _classes(self) -> tuple[np.ndarray, list[str]]:
        if not self.classes:
            return np.full(len(self), NO_CLASS, dtype=np.int64), []
        known = None if self.class_names is None else ClassNames.of(self.class_names)
        labels, names = class_ids([PurePosixPath(self._name(path)) for path in self.files], self.path, known)
        if names:
            self._check_class_folders(names)
        return labels, names

    def _check_class_folders(self, names: list[str]) -> None:
        """Refuse folders that are no classes by another file's word, and words of which one has no image."""
        if (self._root / SAMPLES).is_file():
            raise ValueError(
                f"{self.path} has a {SAMPLES}, which says classes that are not read here, and its folders are none; "
                f"name images like 00012_label7.png, {REMEDY}"
            )
        folders = [path.name for path in self._root.iterdir() if path.is_dir() and not _is_hidden(path.name)]
        empty = sorted(set(folders) - set(names))
        if empty and self.class_names is None and not all(name.isdigit() for name in names if name):
            raise ValueError(
                f"{self.path}/{empty[0]} holds no images, and as a class it would count in the alphabet; take it out, "
                f"{REMEDY}"
            )

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, rows: int) -> Iterator[Batch]:
        expected = (*self.shape[1:], self.shape[0])
        with ThreadPoolExecutor(THREADS) as pool:
            for first in range(0, len(self), rows):
                files = self.files[first : first + rows]
                images = list(pool.map(self._read, files))
                for file, image in zip(files, images, strict=True):
                    if image.shape != expected:
                        raise ValueError(
                            f"{file} has shape {image.shape}, and {self.files[0]} has {expected}; set crop (adm or "
                            "squash) and size"
                        )
                yield np.stack(images), self.labels[first : first + rows]

    def fingerprint(self) -> str:
        digest = sha256(f"2 {self.crop} {self.size} {self.shape[0]}\0".encode())
        for path, label in zip(self.files, self.labels, strict=True):
            try:
                content = sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise ValueError(f"{path} cannot be read ({error.strerror}); allow it, or take it out") from error
            digest.update(os.fsencode(f"{self._name(path)}\0{label}\0{content}\0"))
        return digest.hexdigest()

    def _read(self, path: Path) -> np.ndarray:
        picture = squared(read_picture(path, self.shape[0]), self.crop, self.size)
        return np.asarray(picture).reshape(picture.height, picture.width, self.shape[0])


def survey(root: Path) -> tuple[list[Path], Counter[str]]:
    """Return the pictures at or below a folder, links followed, and how much of each kind is left out.

    Raises:
        ValueError: a folder cannot be read, or a name of a picture is none of a file.
    """
    pictures, left_out = [], Counter[str]()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_unreadable):
        here = Path(folder)
        for name in list(folders):
            if _is_hidden(name):
                folders.remove(name)
                left_out[f"{name}/"] += 1
            elif (here / name).is_symlink() and (here / name).resolve() in (here.resolve(), *here.resolve().parents):
                raise ValueError(f"{here / name} is a link to a folder that holds it; take it out")
        for name in files:
            suffix = Path(name).suffix.lower()
            if name.startswith(".") or suffix not in SUFFIXES:
                left_out["hidden" if name.startswith(".") else f"{suffix or 'without a suffix'}"] += 1
            elif not (here / name).is_file():
                raise ValueError(f"{here / name} is a link to nothing, or no file; take it out")
            else:
                pictures.append(here / name)
    return sorted(pictures, key=lambda path: path.relative_to(root).as_posix()), left_out


def _kind(path: Path) -> str:
    return LOSSY.get(path.suffix.lower(), "lossless")


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in SYSTEM


def _refuse_unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):  # the root, which then holds no images
        raise ValueError(f"{error.filename} cannot be read ({error.strerror}); allow it, or take it out") from error


def _classes(ids: np.ndarray, counts: np.ndarray, names: list[str]) -> str:
    """Say which classes there are, and which numbers below the largest have no image."""
    if ids[-1] == NO_CLASS:
        return "no classes"
    words = [f"{k} {names[k]}" if k < len(names) and names[k] != str(k) else str(k) for k in ids[:MOST_NAMED]]
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    gaps = int(ids[-1]) + 1 - len(ids)
    missing = [str(k) for k in range(min(int(ids[-1]), MOST_NAMED * MOST_NAMED)) if k not in ids][:MOST_NAMED]
    without = f", and none of {gaps} below {ids[-1]} ({', '.join(missing)}{', ...' if gaps > len(missing) else ''})"
    return f"{len(ids)} classes ({', '.join(words)}{more}) of {counts.min()} to {counts.max()}{without if gaps else ''}"


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
