"""Admission of search runs by the tensor rows that runs are seen to hold."""

from __future__ import annotations

from its.engine.state import SearchRun

ROWS_OF_A_STATE = 3
"""Rows that a state holds once it is evaluated: x, x0_hat and eps_hat."""


class Admission:
    """Decides whether there is room for one more run.

    The size of a run is learned: it is the most rows that runs have held at any moment, divided by the number of runs
    alive then. States that wait for the network count with the rows that they will hold. The runs that fill the
    first batch are therefore admitted before anything is known of their size, and may exceed the limit together; those
    after them keep it, as far as runs are alike.

    Args:
        limit: tensor rows that runs in the making may hold together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows_per_run = 0.0

    def observe(self, alive: int, in_use: int, waiting: int) -> None:
        """Learn from one moment.

        Args:
            alive: runs that have begun and are not over.
            in_use: rows that they hold.
            waiting: states and rollouts of theirs that wait for the network.
        """
        if alive:
            self._rows_per_run = max(self._rows_per_run, max(in_use, ROWS_OF_A_STATE * waiting) / alive)

    def admits(self, alive: int) -> bool:
        """Return whether a run may begin beside those alive; one always may where none is."""
        return not alive or (alive + 1) * self._rows_per_run <= self._limit

    def check(self, run: SearchRun, in_use: int) -> None:
        """Refuse a run that holds more than the limit though it is alone.

        Raises:
            RuntimeError: the message names both numbers.
        """
        if in_use > self._limit:
            raise RuntimeError(
                f"{run.name} holds {in_use} tensor rows for one image, and "
                f"the limit is {self._limit}; raise `rows`, or keep fewer particles"
            )
