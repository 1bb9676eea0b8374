"""The kinds of work, each a queue that is served in batches of one fixed shape, oldest image first.

With a fixed shape a row's result does not depend on its place or its companions.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Generic, TypeVar

T = TypeVar("T")


class Queue(Generic[T]):
    """Waiting items of one kind.

    Attributes:
        rows: items of one batch.
        filled, capacity: rows served and row places offered so far; their ratio is the occupancy.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.filled = 0
        self.capacity = 0
        self._waiting: list[tuple[int, T]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, order: int, item: T) -> None:
        self._waiting.append((order, item))

    def batch(self) -> list[T]:
        """The next batch's items, at most `rows`; those of one order as they came."""
        self._waiting.sort(key=itemgetter(0))
        items = [item for _, item in self._waiting[: self.rows]]
        del self._waiting[: self.rows]
        self.filled += len(items)
        self.capacity += self.rows
        return items


def pad(items: Sequence[T], rows: int) -> list[T]:
    """Items filled up to `rows` with copies of the last."""
    return [*items, *[items[-1]] * (rows - len(items))]
