"""A network alone, in full batches: what the speed of a search is compared with."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch

from its.levels import Columns, Guess, Level
from its.model.denoiser import Denoiser, fewest_slots
from its.types import Condition


class BareNetwork:
    """A model that is called again and again with one full batch of random rows.

    Args:
        batch: network rows of the batch.
        level: of every row.
        conditions: of rows in turn.
    """

    def __init__(self, model: Denoiser, batch: int, level: Level, conditions: Sequence[Condition]) -> None:
        self.model = model
        self.rows = batch // fewest_slots(model)
        self.batch = self.rows * fewest_slots(model)
        self.x = torch.randn((self.rows, *model.shape), dtype=model.dtype, device=model.device)
        self._levels = Columns.of([level] * self.rows, self.x.ndim, model.device)
        self._conditions = [conditions[k % len(conditions)] for k in range(self.rows)]

    @torch.inference_mode()
    def __call__(self) -> Guess:
        """Evaluate the batch."""
        return self.model(self.x, self._levels, self._conditions)

    def rows_per_second(self, seconds: float) -> float:
        """Call for so long, once at least; return network rows per second."""
        started, calls = self._now(), 0
        while not calls or self._now() - started < seconds:
            self()
            calls += 1
        return calls * self.batch / (self._now() - started)

    def _now(self) -> float:
        if self.model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
