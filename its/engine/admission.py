"""Admission of search runs by the tensor rows, and their bytes, that runs are seen to hold."""

from __future__ import annotations

from typing import NamedTuple

from its.engine.search_run import SearchRun

ROWS_OF_A_STATE = 3
"""Rows that a state holds once it is evaluated: x, x0_hat and eps_hat."""


class Held(NamedTuple):
    """Memory that runs hold: tensor rows of states, and bytes of these and of decoded images."""

    rows: float
    bytes: float


class Admission:
    """Decides whether there is room for one more run.

    The size of a run is learned: it is the most that runs have held at any moment, divided by the number of runs alive
    then, and at least one state and one decoded image. What waits for the network or the decoder counts with the rows
    that it will hold. The runs that fill the first batches may still come to hold more, and exceed the limit together;
    therefore a run's bytes count twice until one is over. Those after them keep it, as far as runs are alike.

    Args:
        limit: for all runs in the making together.
        row_bytes: size of a state's row.
        image_bytes: size of a decoded image; 0 without a decoder.
    """

    def __init__(self, limit: Held, row_bytes: int, image_bytes: int = 0) -> None:
        self._limit = limit
        self._row_bytes = row_bytes
        self._image_bytes = image_bytes
        self._run = self._held(ROWS_OF_A_STATE, 1)

    def observe(self, alive: int, rows: int, waiting: int, images: int = 0) -> None:
        """Learn from one moment.

        Args:
            alive: runs that have begun and are not over.
            rows: tensor rows that they hold.
            waiting: states and rollouts of theirs that wait for the network.
            images: decoded images that they hold, and those that wait for the decoder.
        """
        if alive:
            held = self._held(max(rows, ROWS_OF_A_STATE * waiting), images)
            self._run = Held(max(self._run.rows, held.rows / alive), max(self._run.bytes, held.bytes / alive))

    def admits(self, alive: int, over: int) -> bool:
        """Return whether a run may begin beside those alive, after those over; one always may where none is alive."""
        run, limit, runs = self._run, self._limit, alive + 1
        fits = runs * run.rows <= limit.rows and runs * run.bytes * (1 if over else 2) <= limit.bytes
        return fits or not alive

    def check(self, run: SearchRun, rows: int, images: int = 0) -> None:
        """Refuse a run that holds more than the limit though it is alone.

        Raises:
            RuntimeError: the message names both numbers.
        """
        held = self._held(rows, images)
        if held.rows > self._limit.rows:
            raise RuntimeError(
                f"{run.name} holds {rows} tensor rows for one image, and "
                f"the limit is {self._limit.rows}; raise `rows`, or keep fewer particles"
            )
        if held.bytes > self._limit.bytes:
            parts = f"{rows} tensor rows of {self._row_bytes}"
            parts += f" and {images} decoded images of {self._image_bytes}" if images else ""
            raise RuntimeError(
                f"{run.name} holds {held.bytes} bytes for one image ({parts}), and the limit is {self._limit.bytes}; "
                "raise `rows_bytes`, or keep fewer particles"
            )

    def _held(self, rows: int, images: int) -> Held:
        return Held(rows, rows * self._row_bytes + images * self._image_bytes)
