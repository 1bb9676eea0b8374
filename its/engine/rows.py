"""Immutable tensor rows in blocks; a row is freed when its last handle is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from its.levels import Guess, Level

AT_ONCE_BYTES = 2**24
"""Bytes of rows that are copied together where no batch bounds their number: 16 MiB, a row at least."""


class Row:
    """A handle on one row of `rows`. Python's reference count is the row's."""

    __slots__ = ("index", "rows")

    def __init__(self, index: int, rows: Rows) -> None:
        self.index = index
        self.rows = rows

    def __del__(self) -> None:
        self.rows.free.append(self.index)


UNMADE = cast(Row, None)
"""In place of a row that is not there yet; whoever reads one has made sure that it is."""


class GuessRows(NamedTuple):
    """The rows of a guess; `share` is unmade where the network learned no variance."""

    x0: Row
    eps: Row
    share: Row


class History(NamedTuple):
    """The guess that a multistep sampler's last step started from: x0_hat as the step took it, and its level."""

    x0: Row
    level: Level


def index_of(places: Sequence[int], device: torch.device) -> Tensor:
    """Return places as an index on a device, int64 `[n]`, for which the host does not wait; it would for a list."""
    return torch.tensor(places, dtype=torch.int64).to(device, non_blocking=True)


def rows_at(rows: Tensor, places: Sequence[int]) -> Tensor:
    """Return the rows at places, in that order; see `index_of`."""
    return rows.index_select(0, index_of(places, rows.device))


def column(values: Sequence[float], x: Tensor) -> Tensor:
    """Return numbers as a column for rows `x`, for which the host does not wait."""
    return torch.tensor(values, dtype=x.dtype).to(x.device, non_blocking=True).reshape(-1, *[1] * (x.ndim - 1))


class Rows:
    """Rows of one shape, dtype and device, in blocks that are added as they are needed and never copied.

    A block's memory is taken as its rows are first written, where the device's allocator works so (the CPU's does).

    Args:
        shape: event shape of a row.
        block_bytes: size of a block; one holds a row at least.

    Attributes:
        row_bytes: size of a row.
        at_once: rows to copy together where no batch bounds their number.
        free: indices of the rows that have been in use and are not now.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, block_bytes: int) -> None:
        self.row_bytes = math.prod(shape) * dtype.itemsize
        self.at_once = max(1, AT_ONCE_BYTES // self.row_bytes)
        self.free: list[int] = []
        self._block = max(1, block_bytes // self.row_bytes)
        self._empty = torch.empty((0, *shape), dtype=dtype, device=device)
        self._blocks: list[Tensor] = []
        self._size = 0

    @property
    def in_use(self) -> int:
        """Return the number of rows in use."""
        return self._size - len(self.free)

    def put(self, values: Tensor) -> list[Row]:
        """Store `[n, *shape]`; the handles come in the same order."""
        rows = self.reserve(len(values))
        self.fill(rows, values)
        return rows

    def reserve(self, count: int) -> list[Row]:
        """Return handles on rows that are filled later."""
        if len(self.free) < count:
            self._grow(count - len(self.free))
        first = len(self.free) - count
        indices = self.free[first:]
        del self.free[first:]
        return [Row(index, self) for index in indices]

    def fill(self, rows: Sequence[Row], values: Tensor) -> None:
        """Store `[n, *shape]` in reserved rows."""
        indices = [row.index for row in rows]
        values = values.to(self._empty.dtype)
        if len(self._blocks) == 1:
            self._blocks[0].index_copy_(0, self._tensor(np.array(indices, dtype=np.int64)), values)
        else:
            for block, places, offsets in self._parts(indices):
                block.index_copy_(0, offsets, values.index_select(0, places))

    def take(self, rows: Sequence[Row]) -> Tensor:
        """Return a new tensor `[n, *shape]` of the given rows."""
        indices = [row.index for row in rows]
        if len(self._blocks) == 1:
            return self._blocks[0].index_select(0, self._tensor(np.array(indices, dtype=np.int64)))
        values = self._empty.new_empty((len(indices), *self._empty.shape[1:]))
        for block, places, offsets in self._parts(indices):
            values.index_copy_(0, places, block.index_select(0, offsets))
        return values

    def put_guess(self, guess: Guess) -> list[GuessRows]:
        """Store a guess `[n, *shape]`; the handles come in the same order."""
        shares = [UNMADE] * len(guess.x0) if guess.share is None else self.put(guess.share)
        return list(map(GuessRows, self.put(guess.x0), self.put(guess.eps), shares))

    def take_guess(self, rows: Sequence[GuessRows]) -> Guess:
        """Return new tensors `[n, *shape]` of the given guesses."""
        x0, eps, shares = zip(*rows, strict=True)
        return Guess(self.take(x0), self.take(eps), None if shares[0] is None else self.take(shares))

    def _parts(self, indices: list[int]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield each block that holds some of the rows, their places among `indices` and their offsets in it."""
        blocks, offsets = np.divmod(np.array(indices, dtype=np.int64), self._block)
        for block in np.unique(blocks):
            places = np.flatnonzero(blocks == block)
            yield self._blocks[block], self._tensor(places), self._tensor(offsets[places])

    def _tensor(self, numbers: np.ndarray) -> Tensor:
        return torch.from_numpy(numbers).to(self._empty.device, non_blocking=True)

    def _grow(self, extra: int) -> None:
        """Add so many rows to the free ones; the lowest of them are used first."""
        size = self._size + extra
        while len(self._blocks) * self._block < size:
            self._blocks.append(self._empty.new_empty((self._block, *self._empty.shape[1:])))
        self.free.extend(range(size - 1, self._size - 1, -1))
        self._size = size
