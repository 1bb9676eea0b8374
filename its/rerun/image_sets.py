"""Sets of images by the names that users give them: a dataset of torchvision, a folder, a `.npz`, or a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from its.dataset.cifar import Cifar
from its.dataset.folder import Crop, Folder
from its.dataset.image_set import Batch, ImageSet
from its.dataset.npz import Npz
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays, DamagedFile
from its.metric.extractor import Extractor
from its.metric.reference_source import ReferenceSource
from its.run import shards

TORCHVISION = {f"cifar{classes}-{split}": (classes, split) for classes in (10, 100) for split in ("train", "test")}
"""Sets that are called by name."""


@dataclass(frozen=True)
class RunImages:
    """The images of a run at one cap.

    Attributes:
        folder: the run's, with `shards/` in it.
        cap: position among the run's caps; -1 is the last.

    Raises:
        ValueError: a shard is damaged or gone, the run has no such cap, or images of it have failed.
    """

    folder: Path
    cap: int = -1

    def __post_init__(self) -> None:
        if not self._files.shard_names:
            raise ValueError(f"{self.folder} has no finished shards yet; finish the run first")
        if self._files.state == "finished" and (missing := self._files.missing_shards):
            raise ValueError(f"{self.folder} has lost {missing[0]}; the command that made the run makes it again")

    @property
    def source(self) -> str:
        return str(self.folder)

    @cached_property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    @cached_property
    def _sizes(self) -> list[int]:
        return [len(self._read(name)["index"]) for name in self._files.shard_names]

    def __len__(self) -> int:
        return sum(self._sizes)

    def batches(self, rows: int) -> Iterator[Batch]:
        for name in self._files.shard_names:
            arrays = self._read(name)
            whole = [(range(len(arrays["index"])), arrays)]
            shards.refuse_gaps(whole)
            caps = arrays["pick"].shape[1]
            if not -caps <= self.cap < caps:
                raise ValueError(f"cap is {self.cap}, and {self.folder} has {caps}; they are counted from 0")
            part = shards.collect(whole, self.cap)
            for first in range(0, len(part.images), rows):
                yield part.images[first : first + rows], part.class_ids[first : first + rows]

    def fingerprint(self) -> str:
        digest = sha256(str(self.cap).encode())
        for name in self._files.shard_names:
            digest.update((self.folder / name).read_bytes())
        return digest.hexdigest()

    def _read(self, name: str) -> Arrays:
        try:
            arrays = self._files.store.read(name)
        except DamagedFile as damage:
            raise ValueError(f"{damage}; the command that made the run makes it again") from damage
        assert arrays is not None
        return arrays


def open_images(
    source: str, *, crop: Crop = "none", size: int | None = None, root: str = "data", cap: int = -1
) -> ImageSet:
    """Open the set of images that `source` names.

    Args:
        crop, size: of a folder's images.
        root: torchvision's folder.
        cap: of a run.

    Raises:
        ValueError: there is no such thing, or it holds no images.
    """
    path = Path(source).expanduser()
    if source in TORCHVISION:
        classes, split = TORCHVISION[source]
        return Cifar(classes, root, split)  # type: ignore[arg-type]
    if RunFolder(path).shard(0).parent.is_dir():
        return RunImages(path, cap)
    if path.is_dir():
        return Folder(source, crop, size)
    if path.exists():
        return Npz(source)
    raise ValueError(f"{source!r} is neither {', '.join(TORCHVISION)} nor a folder of images, a .npz or a run's folder")


def open_reference(
    extractor: Extractor, reference: str, *, crop: Crop = "none", size: int | None = None, root: str = "data"
) -> ReferenceSource:
    """Open a reference: a `.npz` of statistics, of images or of both, or whatever `open_images` opens.

    Raises:
        ValueError: it cannot be read, or is not of this extractor.
    """
    if Path(reference).expanduser().is_file():
        return ReferenceSource.open(extractor, None, reference)
    return ReferenceSource(extractor, open_images(reference, crop=crop, size=size, root=root))
