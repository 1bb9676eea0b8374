"""From the values that ended images have chosen to bytes on the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from its.engine.pool import Pool, Slot
from its.engine.readback import Readback
from its.engine.score import Decode
from its.engine.state import Task, Value
from its.pixels import to_uint8


class Delivery:
    """Images that are over, on their way out.

    Args:
        images: rows of decoded images.
        decode: None for pixel models.
        close: called with a task once its rows have been copied.
        deliver: called with a task once its images are on the host.
    """

    def __init__(self, images: Pool, decode: Decode | None, readback: Readback, close: Callable[[Task], None],
                 deliver: Callable[[Task], None]) -> None:
        self._images = images
        self._decode = decode
        self._readback = readback
        self._close = close
        self._deliver = deliver
        self._ended: list[Task] = []

    def add(self, task: Task) -> None:
        """Take over a task that has concluded; what it chose without a reward is decoded now."""
        for value in _distinct([task]):
            if self._decode is not None and value.decoded is None:
                task.image.ledger.call("decoder_calls", task.image.ledger.spent)
                value.decoding = True
                self._decode.add(task.order, value)
        self._ended.append(task)

    def drop(self, task: Task) -> None:
        """Forget a task that has failed after all."""
        if task in self._ended:
            self._ended.remove(task)

    def send(self) -> None:
        """Start the copy of all images whose values are decoded."""
        ready = [task for task in self._ended if all(self._row(value) is not None for _, value in task.final)]
        if not ready:
            return
        values = _distinct(ready)
        rows = to_uint8(self._images.take([self._row(value) for value in values]))
        row_of = {id(value): row for row, value in enumerate(values)}
        picks = [[row_of[id(value)] for _, value in task.final] for task in ready]
        for task in ready:
            self._ended.remove(task)
            task.rewards = [reward for reward, _ in task.final]
            task.final = []
            self._close(task)
        self._readback.send(rows, lambda images: self._received(ready, picks, images))

    def _row(self, value: Value) -> Slot:
        return value.slot if self._decode is None else value.decoded

    def _received(self, tasks: list[Task], picks: list[list[int]], images: np.ndarray) -> None:
        for task, rows in zip(tasks, picks, strict=True):
            task.images = [images[row] for row in rows]
            self._deliver(task)


def _distinct(tasks: list[Task]) -> list[Value]:
    return list({id(value): value for task in tasks for _, value in task.final}.values())
