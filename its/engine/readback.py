"""Results on their way from the device to the host, without making the device wait."""

from __future__ import annotations

from collections import deque
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


class Readback(Generic[T]):
    """Copies of small results to the host; the device works on meanwhile."""

    def __init__(self) -> None:
        self._copies: deque[tuple[T, Tensor, Any]] = deque()

    def __len__(self) -> int:
        return len(self._copies)

    def send(self, subject: T, tensor: Tensor) -> None:
        """Start the copy of a tensor that says something of `subject`; a later `collect` returns both."""
        if not tensor.is_cuda:
            self._copies.append((subject, tensor, None))
            return
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._copies.append((subject, host, event))

    def collect(self, *, wait: bool) -> list[tuple[T, np.ndarray]]:
        """Return what has arrived, in the order in which it was sent; with `wait`, at least the oldest."""
        arrivals = []
        while self._copies:
            subject, tensor, event = self._copies[0]
            if event is not None and not event.query():
                if not wait:
                    break
                event.synchronize()
            wait = False
            self._copies.popleft()
            arrivals.append((subject, tensor.numpy()))
        return arrivals
