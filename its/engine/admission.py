"""Admission of search runs by the tensor rows that runs are seen to hold."""

from __future__ import annotations

from its.engine.state import SearchRun

ROWS_OF_A_STATE = 3
"""Rows that a state holds once it is evaluated: x, x0_hat and eps_hat."""


class Admission:
    """Decides whether there is room for one more run.

    Nobody says beforehand how many rows a run will hold. It is learned: the most that runs have held at one moment,
    for each run that was alive then. The first runs start together, so that they are at their largest together, and
    the mean over them says what one of them may come to. A run that has only asked is reckoned with what its states
    will hold.

    Args:
        limit: tensor rows that runs in the making may hold together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows_per_run = 0.0

    def observe(self, alive: int, held: int, waiting: int) -> None:
        """Learn from a moment at which `alive` runs hold so many rows and so many of theirs wait for the network."""
        if alive:
            self._rows_per_run = max(self._rows_per_run, max(held, ROWS_OF_A_STATE * waiting) / alive)

    def admits(self, alive: int) -> bool:
        """Return whether a run may begin beside those alive; one always may where none is."""
        return not alive or (alive + 1) * self._rows_per_run <= self._limit

    def check(self, run: SearchRun, held: int) -> None:
        """Refuse a run that holds more than the limit though it is alone.

        Raises:
            RuntimeError: the message names both numbers.
        """
        if held > self._limit:
            raise RuntimeError(
                f"{run.name} holds {held} tensor rows for one image, and "
                f"the limit is {self._limit}; raise `rows`, or keep fewer particles"
            )
