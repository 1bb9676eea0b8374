"""Admission of search runs by the tensor rows that they hold."""

from __future__ import annotations

from collections.abc import Collection

from its.engine.state import SearchRun


class Admission:
    """Decides whether there is room for one more run.

    Args:
        limit: tensor rows that runs in the making may hold together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def admits(self, run: SearchRun, alive: Collection[SearchRun], held: int) -> bool:
        """Return whether a run may begin beside those alive, which hold so many rows."""
        reserved = sum(other.search.peak_rows for other in alive)
        return not alive or max(reserved, held) + run.search.peak_rows <= self._limit

    def check(self, alive: Collection[SearchRun], held: int) -> None:
        """Refuse a run that alone holds more than the limit."""
        if len(alive) == 1 and held > self._limit:
            raise RuntimeError(
                f"{next(iter(alive)).name} holds {held} tensor rows for one image, and "
                f"the limit is {self._limit}; raise `rows`, or keep fewer particles"
            )
