"""The kinds of work, each a queue that is served in batches of one fixed shape, oldest image first.

With a fixed shape a row's result does not depend on its place or its companions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

from its.engine.state import Rollout, SearchRun, Value
from its.levels import Level

T = TypeVar("T")


class Evaluated(NamedTuple):
    """A batch of the network or the decoder; bool `[n]` comes back: is the row finite.

    Attributes:
        model: that made the rows.
        rows: the run of each, and its level.
    """

    model: str
    rows: list[tuple[SearchRun, Level]]


class Scored(NamedTuple):
    """A batch of a verifier; its rewards come back, float `[n]` or `[n, members]`."""

    role: str
    verifier: str
    values: list[Value]


class Guided(NamedTuple):
    """A batch of a guidance; the guide's scores of each row come back, `[n, scores]`."""

    verifier: str
    runs: list[SearchRun]


class Served(NamedTuple):
    """The events of one batch.

    Attributes:
        values: those that have become known: guesses, or decoded images.
        arrivals: rollouts that have come to the end of their route; their child has its state.
        onward: rollouts that stand at their next level, where the network is asked again.
        readbacks: numbers still on the device, each with the batch that they are about.
    """

    values: Sequence[Value] = ()
    arrivals: Sequence[Rollout] = ()
    onward: Sequence[Rollout] = ()
    readbacks: Sequence[tuple[Evaluated | Scored | Guided, Tensor]] = ()


class Queue(ABC, Generic[T]):
    """Waiting items of one kind.

    Attributes:
        size: items of one batch.
        filled, capacity: items served and places offered so far; their ratio is the occupancy.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.filled = 0
        self.capacity = 0
        self._waiting: list[tuple[int, T]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, order: int, item: T) -> None:
        """Queue an item of the image that was admitted as the `order`-th."""
        self._waiting.append((order, item))

    def batch(self) -> list[T]:
        """Take out the next batch's items, at most `size`; those of one image as they came."""
        self._waiting.sort(key=itemgetter(0))
        items = [item for _, item in self._waiting[: self.size]]
        del self._waiting[: self.size]
        self.filled += len(items)
        self.capacity += self.size
        return items

    @abstractmethod
    def serve(self) -> Served:
        """Run one batch, and return its events."""


def pad(items: Sequence[T], size: int) -> list[T]:
    """Fill up items to `size` with copies of the last."""
    return [*items, *[items[-1]] * (size - len(items))]
