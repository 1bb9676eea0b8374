"""Immutable tensor rows in one growing tensor; a row is freed when its last handle is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor


class Slot:
    """A handle on one row. Python's reference count is the row's."""

    __slots__ = ("index", "pool")

    def __init__(self, index: int, pool: Pool) -> None:
        self.index = index
        self.pool = pool

    def __del__(self) -> None:
        self.pool.free.append(self.index)


UNMADE = cast(Slot, None)
"""In place of a row that is not there yet; whoever reads one has made sure that it is."""


class Pool:
    """Rows of one shape, dtype and device.

    Args:
        shape: event shape of a row.
        chunk: rows by which it grows at least.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, chunk: int) -> None:
        self._rows = torch.empty((0, *shape), dtype=dtype, device=device)
        self._chunk = chunk
        self.free: list[int] = []

    @property
    def held(self) -> int:
        """Rows in use."""
        return len(self._rows) - len(self.free)

    def put(self, rows: Tensor) -> list[Slot]:
        """Store rows `[n, *shape]`; the handles come in the same order."""
        if len(self.free) < len(rows):
            self._grow(max(self._chunk, len(self._rows), len(rows)))
        first = len(self.free) - len(rows)
        indices = self.free[first:]
        del self.free[first:]
        self._rows.index_copy_(0, self._index(indices), rows.to(self._rows.dtype))
        return [Slot(index, self) for index in indices]

    def take(self, slots: Sequence[Slot]) -> Tensor:
        """A new tensor `[n, *shape]` of the given rows."""
        return self._rows.index_select(0, self._index([slot.index for slot in slots]))

    def _index(self, indices: list[int]) -> Tensor:
        return torch.from_numpy(np.array(indices, dtype=np.int64)).to(self._rows.device, non_blocking=True)

    def _grow(self, extra: int) -> None:
        size = len(self._rows)
        self._rows = torch.cat([self._rows, self._rows.new_empty((extra, *self._rows.shape[1:]))])
        self.free.extend(range(size + extra - 1, size - 1, -1))
