"""Sets of images by the names that users give them: a dataset of torchvision, a folder, a `.npz`, or a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

import numpy as np

from its.config.names import recorded
from its.config.oracle_run import ORACLE
from its.dataset.cifar import Cifar
from its.dataset.folder import Crop, Folder
from its.dataset.image_set import Batch, ImageSet, Shape, account
from its.dataset.npz import Npz
from its.disk.delivered import image_names
from its.disk.kept import lacks_images
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays, DamagedFile
from its.metric.extractor import Extractor
from its.metric.reference_source import ReferenceSource
from its.run import shards
from its.run.kept_images import LARGE

log = logging.getLogger(__name__)

TORCHVISION = {f"cifar{classes}-{split}": (classes, split) for classes in (10, 100) for split in ("train", "test")}
"""Sets that are called by name."""


@dataclass(frozen=True)
class RunImages:
    """The images of a run at one cap.

    Attributes:
        folder: the run's, with `shards/` in it.
        cap: position among the run's caps; -1 is the last.

    Raises:
        ValueError: a shard is damaged or missing, there is no such cap, or images have failed or are not kept.
    """

    folder: Path
    cap: int = -1
    form: ClassVar[str] = "lossless"

    def __post_init__(self) -> None:
        if not self._names:
            raise ValueError(f"{self.folder} has no finished shards yet; finish the run first")
        if self._files.state == "finished" and (missing := self._files.missing_shards):
            raise ValueError(f"{self.folder} has lost {missing[0]}; the command that made the run makes it again")

        if self._is_undecided:
            raise ValueError(
                f"an oracle chooses the images of {self.folder} once all candidates are there; finish the run by "
                "its own command"
            )

        # Look at everything but the images.
        indices = np.concatenate([arrays["index"] for arrays in self._small])
        gap = np.flatnonzero(indices != np.arange(len(indices)))
        if gap.size:
            raise ValueError(
                f"image {gap[0]} of {self.folder} is in no shard, and later ones are; the command that made the run "
                "makes what is missing"
            )
        if not -self._caps <= self.cap < self._caps:
            raise ValueError(f"cap is {self.cap}, and {self.folder} has {self._caps}; they are counted from 0")
        shards.refuse_gaps((range(len(arrays["index"])), arrays) for arrays in self._small)

    @property
    def source(self) -> str:
        return str(self.folder)

    @property
    def account(self) -> str:
        finished = "" if self._files.state == "finished" else ", of a run that is not finished"
        return account(self, f", at cap {self.cap % self._caps} of 0 to {self._caps - 1}{finished}")

    @property
    def shape(self) -> Shape:
        height, width, channels = self._small[0]["images"].shape[1:]
        return channels, height, width

    @property
    def labels(self) -> np.ndarray:
        """The class ids of all images, int64 `[n]`."""
        return np.concatenate([arrays["label"] for arrays in self._small])

    @cached_property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    @cached_property
    def _names(self) -> list[str]:
        return image_names(self._files)

    @property
    def _is_undecided(self) -> bool:
        """Return whether an oracle has yet to choose among the candidates of these shards."""
        try:
            target = str(self._files.read_config()["verifier"]["_target_"])
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return False
        return recorded(target) == ORACLE and self._names == self._files.shard_names

    @cached_property
    def _small(self) -> list[Arrays]:
        """The arrays of every shard, of images only their shape."""
        return [
            {key: array[:0].copy() if key in LARGE else array for key, array in self._read(name).items()}
            for name in self._names
        ]

    @property
    def _caps(self) -> int:
        return self._small[0]["pick"].shape[1]

    def __len__(self) -> int:
        return sum(len(arrays["index"]) for arrays in self._small)

    def batches(self, rows: int) -> Iterator[Batch]:
        for name in self._names:
            arrays = self._read(name)
            pick = arrays["pick"][:, self.cap]
            for first in range(0, len(pick), rows):
                yield arrays["images"][pick[first : first + rows]], arrays["label"][first : first + rows]

    def fingerprint(self) -> str:
        digest = sha256(str(self.cap).encode())
        for name in self._names:
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()

    def _read(self, name: str) -> Arrays:
        try:
            arrays = self._files.store.read(name)
        except DamagedFile as damage:
            raise ValueError(f"{damage}; the command that made the run makes it again") from damage
        assert arrays is not None
        if lacks_images(arrays):
            raise ValueError(
                f"{self.folder / name} keeps no images, or not all (store.images); the command that made the run makes "
                "them again with store.images=all"
            )
        return arrays


def open_images(
    source: str,
    *,
    crop: Crop = "none",
    size: int | None = None,
    class_names: str | None = None,
    root: str = "data",
    cap: int = -1,
) -> ImageSet:
    """Open the set of images that `source` names, and log what it took.

    Args:
        crop, size, class_names: of a folder's images; see `its.dataset.folder.Folder`.
        root: torchvision's folder.
        cap: of a run.

    Raises:
        ValueError: there is no such thing, or it holds no images.
    """
    path = Path(source).expanduser()
    images: ImageSet
    if source in TORCHVISION:
        classes, split = TORCHVISION[source]
        images = Cifar(classes, root, split)  # type: ignore[arg-type]
    elif is_folder(source):
        images = Folder(source, crop, size, channels=None, class_names=class_names)
    elif path.is_dir():
        images = RunImages(path, cap)
    elif path.exists():
        images = Npz(source)
    else:
        raise ValueError(
            f"{source!r} is neither {', '.join(TORCHVISION)} nor a folder of images, a .npz or a run's folder"
        )
    log.info("%s", images.account)
    return images


def is_folder(source: str) -> bool:
    """Return whether `source` names a folder of pictures, and neither a run nor a set that is called by name."""
    path = Path(source).expanduser()
    return source not in TORCHVISION and path.is_dir() and not RunFolder(path).shard(0).parent.is_dir()


def open_reference(
    extractor: Extractor,
    reference: str,
    *,
    crop: Crop = "none",
    size: int | None = None,
    class_names: str | None = None,
    root: str = "data",
) -> ReferenceSource:
    """Open a reference: a `.npz` of statistics, of images or of both, or whatever `open_images` opens; log which.

    Raises:
        ValueError: it cannot be read, or is not of this extractor.
    """
    if not Path(reference).expanduser().is_file():
        images = open_images(reference, crop=crop, size=size, class_names=class_names, root=root)
        return ReferenceSource.open(extractor, images, None)
    source = ReferenceSource.open(extractor, None, reference)
    log.info("%s", source.account)
    return source
