"""Immutable tensor rows in one growing tensor; a row is freed when its last handle is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from its.levels import Guess


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


class Rows:
    """A growing tensor of rows of one shape, dtype and device.

    Args:
        shape: event shape of a row.
        chunk: rows by which it grows at least.

    Attributes:
        free: indices of the rows that are not in use.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, chunk: int) -> None:
        self._tensor = torch.empty((0, *shape), dtype=dtype, device=device)
        self._chunk = chunk
        self.free: list[int] = []

    @property
    def in_use(self) -> int:
        """Return the number of rows in use."""
        return len(self._tensor) - len(self.free)

    def put(self, values: Tensor) -> list[Row]:
        """Store `[n, *shape]`; the handles come in the same order."""
        if len(self.free) < len(values):
            self._grow(max(self._chunk, len(self._tensor), len(values)))
        first = len(self.free) - len(values)
        indices = self.free[first:]
        del self.free[first:]
        self._tensor.index_copy_(0, self._index(indices), values.to(self._tensor.dtype))
        return [Row(index, self) for index in indices]

    def take(self, rows: Sequence[Row]) -> Tensor:
        """Return a new tensor `[n, *shape]` of the given rows."""
        return self._tensor.index_select(0, self._index([row.index for row in rows]))

    def put_guess(self, guess: Guess) -> list[GuessRows]:
        """Store a guess `[n, *shape]`; the handles come in the same order."""
        shares = [UNMADE] * len(guess.x0) if guess.share is None else self.put(guess.share)
        return list(map(GuessRows, self.put(guess.x0), self.put(guess.eps), shares))

    def take_guess(self, rows: Sequence[GuessRows]) -> Guess:
        """Return new tensors `[n, *shape]` of the given guesses."""
        x0, eps, shares = zip(*rows, strict=True)
        return Guess(self.take(x0), self.take(eps), None if shares[0] is None else self.take(shares))

    def _index(self, indices: list[int]) -> Tensor:
        return torch.from_numpy(np.array(indices, dtype=np.int64)).to(self._tensor.device, non_blocking=True)

    def _grow(self, extra: int) -> None:
        size = len(self._tensor)
        self._tensor = torch.cat([self._tensor, self._tensor.new_empty((extra, *self._tensor.shape[1:]))])
        self.free.extend(range(size + extra - 1, size - 1, -1))
