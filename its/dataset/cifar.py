"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) through torchvision, which opens only files of the right MD5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from its.dataset.image_set import Batch, Loaded, Shape, account

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10


@dataclass(frozen=True)
class Cifar:
    """The real images, 32x32x3, in torchvision's order.

    Attributes:
        classes: 10 or 100.
        root: torchvision's folder of datasets.
        split: `train` has 50,000 images, `test` 10,000.

    Raises:
        ValueError: the files are missing; the message says how to get them.
    """

    classes: int
    root: str
    split: Literal["train", "test"] = "train"
    form: ClassVar[str] = "lossless"

    def __post_init__(self) -> None:
        if self.classes not in (10, 100) or self.split not in ("train", "test"):
            raise ValueError(f"CIFAR-{self.classes} {self.split!r}; there is CIFAR-10 and -100, train and test")
        missing = [file for file, _ in self._files if not file.is_file()]
        if missing:
            raise ValueError(
                f"{missing[0].absolute()} is not there; get CIFAR-{self.classes} once, where there is a network: "
                f'python scripts/prefetch.py with the words of this run, or python -c "from torchvision.datasets '
                f"import {self._kind.__name__} as C; C('{self.root}', download=True)\"; a run can do with statistics "
                "alone: dataset.reference=null dataset.statistics=FILE"
            )

    @classmethod
    def fetch(cls, classes: int, root: str, split: str = "train") -> None:
        """Download missing files, for scripts/prefetch.py; one file holds both splits."""
        _kind(classes)(str(Path(root).expanduser()), train=split == "train", download=True)

    @property
    def source(self) -> str:
        return f"cifar{self.classes}-{self.split}"

    @property
    def account(self) -> str:
        return account(self)

    @property
    def shape(self) -> Shape:
        return 3, 32, 32

    @property
    def _kind(self) -> type[CIFAR10]:
        return _kind(self.classes)

    @property
    def _files(self) -> list[tuple[Path, str]]:
        entries = self._kind.train_list if self.split == "train" else self._kind.test_list
        return [(Path(self.root).expanduser() / self._kind.base_folder / name, md5) for name, md5 in entries]

    def __len__(self) -> int:
        return 50_000 if self.split == "train" else 10_000

    def batches(self, rows: int) -> Iterator[Batch]:
        try:
            data = self._kind(str(Path(self.root).expanduser()), train=self.split == "train")
        except RuntimeError as error:
            raise ValueError(
                f"the files of {self.source} in {self.root} are damaged ({error}); delete them and get them again"
            ) from error
        return Loaded(self.source, data.data, np.asarray(data.targets, dtype=np.int64)).batches(rows)

    def fingerprint(self) -> str:
        """Hash the MD5 sums that torchvision checks the files against."""
        return sha256(" ".join([self.source, *(md5 for _, md5 in self._files)]).encode()).hexdigest()


def _kind(classes: int) -> type[CIFAR10]:
    from torchvision import datasets

    return datasets.CIFAR10 if classes == 10 else datasets.CIFAR100
