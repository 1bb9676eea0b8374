"""The class that each problem asks for: one rule for every dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from its.particles.keys import fold

_PURPOSE = 0xC1A55
"""Part of the key of these draws; it separates them from those of the searches, which have the same seed."""


@dataclass(frozen=True)
class ClassOrder:
    """A rule that assigns a class to each problem.

    Attributes:
        classes: `balanced` takes every class in turn, `uniform` draws each at random, a number is one class for all
            problems, and a list is taken in turn.
        seed: of `uniform`, whose draws are keyed by (seed, problem), so that the order of making problems is free.
    """

    classes: str | int | Sequence[int] = "balanced"
    seed: int = 0

    def __post_init__(self) -> None:
        is_rule = isinstance(self.classes, str) and self.classes in ("balanced", "uniform")
        is_list = (
            not isinstance(self.classes, str)
            and len(self._ids) > 0
            and all(isinstance(k, int) and not isinstance(k, bool) and k >= 0 for k in self._ids)
        )
        if not is_rule and not is_list:
            raise ValueError(
                f"classes is {self.classes!r}; it is balanced, uniform, one class id such as 3, or a list such as [3,5]"
            )

    @property
    def rule(self) -> str:
        """The rule in words: `balanced`, `uniform`, `class 3`, or `classes 3, 5 in turn`."""
        if isinstance(self.classes, str):
            return self.classes
        ids = [str(k) for k in self._ids]
        return f"class {ids[0]}" if len(ids) == 1 else f"classes {', '.join(ids)} in turn"

    @property
    def _ids(self) -> list[int]:
        return list(self.classes) if isinstance(self.classes, Sequence) else [self.classes]  # type: ignore[arg-type]

    def check(self, num_classes: int) -> None:
        """Refuse classes that a dataset of `num_classes` does not have.

        Raises:
            ValueError: the rule lists one of them.
        """
        if not isinstance(self.classes, str) and max(self._ids) >= num_classes:
            raise ValueError(
                f"classes asks for class {max(self._ids)}, and the dataset has {num_classes}, counted "
                "from 0; choose among them"
            )

    def condition(self, index: int, num_classes: int) -> int:
        """Return the class id in [0, num_classes) of problem `index`."""
        if self.classes == "balanced":
            return index % num_classes
        if self.classes == "uniform":
            stream = np.random.Generator(np.random.Philox(key=fold(_PURPOSE, self.seed, index)))
            return int(stream.integers(num_classes))
        return self._ids[index % len(self._ids)]


@dataclass(frozen=True)
class Classes:
    """The problems of a dataset whose real images lie elsewhere.

    Attributes:
        shape: event shape (C, H, W).
        num_classes: 0 if the dataset has none; then no problem asks for a class, and `class_order` is not used.
    """

    shape: Sequence[int]
    num_classes: int
    class_order: ClassOrder = field(default_factory=ClassOrder)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if len(self.shape) != 3 or min(self.shape) < 1 or self.shape[0] not in (1, 3):
            raise ValueError(f"shape is {self.shape}; it is (channels, height, width) with 1 or 3 channels")
        if self.num_classes < 0:
            raise ValueError(f"num_classes is {self.num_classes}; it is 0 (no classes) or more")
        if self.num_classes:
            self.class_order.check(self.num_classes)

    def condition(self, index: int) -> int | None:
        """Return the class id of problem `index`, or None without classes."""
        return self.class_order.condition(index, self.num_classes) if self.num_classes else None
