"""The kinds of work, each a queue that is served in batches of one fixed shape, oldest image first.

With a fixed shape a row's result does not depend on its place or its companions. A batch of the network has a fixed
number of slots, its network rows; an item takes one or several, which are never in two batches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

import numpy as np
from torch import Tensor

from its.engine.search_run import SearchRun, Value
from its.engine.state import Rollout
from its.levels import Level
from its.model.denoiser import Denoiser, fewest_slots
from its.particles.prices import Prices

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
    """A batch of a verifier; its rewards come back, float `[n]` or `[n, members]`.

    Attributes:
        costs: of the rewards, by column of the ledger, where a judge elsewhere gave them.
    """

    role: str
    verifier: str
    values: list[Value]
    costs: Sequence[Mapping[str, int]]


class Guided(NamedTuple):
    """A batch of a guidance; the guide's scores of each row come back, `[n, scores]`."""

    verifier: str
    runs: list[SearchRun]


class Replies(Protocol):
    """Numbers that come back for searches, which they are the replies of."""

    def replies(self, numbers: np.ndarray) -> Sequence[tuple[SearchRun, int, Any]]:
        """Return what each search is answered, and at which position of its reply."""
        ...


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
    readbacks: Sequence[tuple[Evaluated | Scored | Guided | Replies, Tensor]] = ()


class Shape(NamedTuple):
    """The fixed shape of a batch.

    Attributes:
        size: items at most; a batch is filled up to so many.
        each: slots of an item, by which there are `size * each`.
        slots_at: slots of an item by its level, where they differ.
    """

    size: int
    each: int = 1
    slots_at: Callable[[Level], int] | None = None


def network_shape(batch: int, model: Denoiser, prices: Prices) -> Shape:
    """Return the shape of batches of a network: as many slots as its rows, `batch` at most."""
    fewest, slots = fewest_slots(model), model.slots
    alike = fewest == slots and all(prices.evaluation(level) == slots for level in prices.grid[:-1])
    return Shape(batch // fewest, fewest, None if alike else prices.evaluation)


class Queue(ABC, Generic[T]):
    """Waiting items of one kind.

    Attributes:
        size: items of one batch at most.
        slots: of one batch.
        filled, capacity: slots served and offered so far; their ratio is the occupancy.
    """

    def __init__(self, shape: int | Shape) -> None:
        self.size, self._each, self._slots_at = Shape(shape) if isinstance(shape, int) else shape
        self.slots = self.size * self._each
        self.filled = 0
        self.capacity = 0
        self._waiting: list[tuple[int, T]] = []
        self._waiting_slots = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def load(self) -> float:
        """Return how many batches the waiting items come to; from 1 on there is a full one."""
        return max(len(self._waiting) / self.size, self._waiting_slots / self.slots)

    def add(self, order: int, item: T) -> None:
        """Queue an item of the image that was admitted as the `order`-th."""
        self._waiting.append((order, item))
        if self._slots_at is not None:
            self._waiting_slots += self._slots_at(cast(Any, item).level)

    def batch(self) -> list[T]:
        """Take out the next batch's items: the oldest images' that fit, those of one image as they came."""
        self._waiting.sort(key=itemgetter(0))
        if self._slots_at is not None:
            items, slots = self._packed(self._slots_at)
            self._waiting_slots -= slots
        else:
            items = [item for _, item in self._waiting[: self.size]]
            del self._waiting[: self.size]
            slots = len(items) * self._each
        self.filled += slots
        self.capacity += self.slots
        return items

    def _packed(self, slots_at: Callable[[Level], int]) -> tuple[list[T], int]:
        """Take out items, and their slots: one that no longer fits waits for the next batch, and others go before."""
        items, later, used = list[T](), list[tuple[int, T]](), 0
        for k, entry in enumerate(self._waiting):
            if used == self.slots or len(items) == self.size:
                later += self._waiting[k:]
                break
            slots = slots_at(cast(Any, entry[1]).level)
            if used + slots > self.slots:
                later.append(entry)
            else:
                items.append(entry[1])
                used += slots
        self._waiting = later
        return items, used

    @abstractmethod
    def serve(self) -> Served:
        """Run one batch, and return its events."""


def pad(items: Sequence[T], size: int) -> list[T]:
    """Fill up items to `size` with copies of the last."""
    return [*items, *[items[-1]] * (size - len(items))]
