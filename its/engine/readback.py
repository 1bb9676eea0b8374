"""Results on their way from the device to the host, without making the device wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Readback:
    """Small results on their way to the host; the device works on meanwhile."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Tensor, Any, Callable[[np.ndarray], None]]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, tensor: Tensor, receive: Callable[[np.ndarray], None]) -> None:
        """Start the copy; `receive` is called with it in a later `collect`."""
        if not tensor.is_cuda:
            self._waiting.append((tensor, None, receive))
            return
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._waiting.append((host, event, receive))

    def collect(self, *, wait: bool) -> None:
        """Hand over what has arrived; with `wait`, at least the oldest."""
        while self._waiting:
            tensor, event, receive = self._waiting[0]
            if event is not None and not event.query():
                if not wait:
                    return
                event.synchronize()
            wait = False
            self._waiting.popleft()
            receive(tensor.numpy())
