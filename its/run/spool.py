"""A spool: arrays put aside, in memory while they are few and then in a file without a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile

import numpy as np

SPOOL_BYTES = 1 << 26
"""Arrays that are held in memory; more of them lie in a file."""


@dataclass(frozen=True)
class Place:
    """The place of an array in the spool."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def rows(self, first: int, count: int) -> Place:
        """Return the place of some of its rows."""
        _, *shape = self.shape
        width = int(np.prod(shape)) * self.dtype.itemsize
        return Place(self.offset + first * width, (count, *shape), self.dtype)


class Spool:
    """Arrays that are put aside.

    Args:
        folder: in which a large spool lies; it must exist by then.
    """

    def __init__(self, folder: Path) -> None:
        self._file = SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=str(folder))  # noqa: SIM115 - closed when it is dropped

    def put(self, array: np.ndarray) -> Place:
        """Put an array aside; return where it lies."""
        offset = self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(array).data)
        return Place(offset, array.shape, array.dtype)

    def read(self, place: Place) -> np.ndarray:
        """Return an array.

        Raises:
            OSError: the spool has become shorter.
        """
        array = np.empty(place.shape, dtype=place.dtype)
        self._file.seek(place.offset)
        if self._file.readinto(array.data) != array.nbytes:
            raise OSError("features that were put aside while a run is measured are gone; run the command again")
        return array
