"""scikit-learn's handwritten digits: 1,797 real 8x8 images in ten classes, no download."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from its.dataset.classes import ClassOrder

Split = Literal["all", "verifier", "report"]


@dataclass(frozen=True)
class Digits:
    """The digits dataset: class-conditional images, and two disjoint halves for two classifiers.

    Attributes:
        num_classes: always 10.
        class_order: the class that each problem asks for.
    """

    num_classes: int = 10
    class_order: ClassOrder = field(default_factory=ClassOrder)

    def __post_init__(self) -> None:
        self.class_order.check(10)
        if self.num_classes != 10:
            raise ValueError(
                f"num_classes is {self.num_classes}, but digits has exactly 10 classes; leave num_classes out"
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """The event shape (C, H, W) of an image."""
        return (1, 8, 8)

    def images(self, split: Split = "all") -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the images and class ids of one split, in scikit-learn's order.

        "verifier" and "report" are disjoint stratified halves of "all", the same on every call.

        Returns:
            uint8 [n, 8, 8, 1] in [0, 255] (17 distinct gray levels)
            and int64 [n] in [0, 9].
        """
        if split not in get_args(Split):
            raise ValueError(f"split is {split!r}, but digits has {', '.join(get_args(Split))}; choose one")
        from sklearn.datasets import load_digits

        gray, target = load_digits(return_X_y=True)
        images = np.rint(np.asarray(gray) * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
        class_ids = np.asarray(target, dtype=np.int64)
        if split == "all":
            return images, class_ids
        rows = _half(class_ids, first=split == "verifier")
        return images[rows], class_ids[rows]

    def reference(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return every real image and class id, to compare generated images with."""
        return self.images("all")

    def condition(self, index: int) -> int:
        """Return the class id in [0, 9] of problem `index`; by default any ten in a row hold all ten."""
        return self.class_order.condition(index, self.num_classes)


def _half(class_ids: NDArray[np.int64], first: bool) -> NDArray[np.intp]:
    """Return the sorted indices of every second image of a fixed shuffle, grouped by class."""
    shuffled = np.random.RandomState(0).permutation(len(class_ids))
    by_class = shuffled[np.argsort(class_ids[shuffled], kind="stable")]
    return np.sort(by_class[0 if first else 1 :: 2])
