"""From the values that ended images have chosen to bytes on the host."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from its.engine.keep import Keeper
from its.engine.pool import Pool, Slot
from its.engine.readback import Readback
from its.engine.score import Decode
from its.engine.state import Task, Value
from its.pixels import to_uint8


class Delivery:
    """Images that are over, on their way out.

    Args:
        pool: rows of states. images: rows of decoded images.
        decode: None for pixel models.
        close: called with a task once its rows have been copied.
        deliver: called with a task once its images are on the host.
        keep_pool: whether candidates are brought to the host too.
    """

    def __init__(
        self,
        pool: Pool,
        images: Pool,
        decode: Decode | None,
        readback: Readback,
        close: Callable[[Task], None],
        deliver: Callable[[Task], None],
        keep_pool: bool,
    ) -> None:
        self._pool = pool
        self._images = images
        self._decode = decode
        self._readback = readback
        self._close = close
        self._deliver = deliver
        self._ended: list[Task] = []
        self._keeper = Keeper(images, readback) if keep_pool else None

    def keep(self, task: Task) -> None:
        """Take the candidates that the task's reply has rewarded, if the pool is kept."""
        if self._keeper is not None:
            self._keeper.add(task)

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
        """Start the copy of what is kept, then that of all images whose values are decoded."""
        if self._keeper is not None:
            self._keeper.send()
        ready = [task for task in self._ended if all(self._row(chosen.value) is not None for chosen in task.final)]
        if not ready:
            return
        values = _distinct(ready)
        rows = to_uint8(self._images.take([self._row(value) for value in values]))
        row_of = {id(value): row for row, value in enumerate(values)}
        picks = [[row_of[id(chosen.value)] for chosen in task.final] for task in ready]
        self._send_starts(ready)
        for task in ready:
            self._ended.remove(task)
            task.rewards = [chosen.reward for chosen in task.final]
            task.final = []
            self._close(task)
        self._readback.send(rows, lambda images: self._received(ready, picks, images))

    def _send_starts(self, tasks: list[Task]) -> None:
        """Start the copy of what was chosen came down from; it arrives before the images do."""
        moved = [
            (task, at, chosen.start)
            for task in tasks
            for at, chosen in enumerate(task.final)
            if isinstance(chosen.start, Slot)
        ]
        for task in tasks:
            task.starts = [chosen.start if isinstance(chosen.start, int) else None for chosen in task.final]

        def received(rows: np.ndarray) -> None:
            for (task, at, _), row in zip(moved, rows, strict=True):
                task.starts[at] = row

        if moved:
            self._readback.send(self._pool.take([slot for _, _, slot in moved]), received)

    def _row(self, value: Value) -> Slot:
        return value.slot if self._decode is None else value.decoded

    def _received(self, tasks: list[Task], picks: list[list[int]], images: np.ndarray) -> None:
        for task, rows in zip(tasks, picks, strict=True):
            task.images = [images[row] for row in rows]
            self._deliver(task)


def _distinct(tasks: list[Task]) -> list[Value]:
    return list({id(chosen.value): chosen.value for task in tasks for chosen in task.final}.values())
