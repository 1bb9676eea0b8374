"""Network evaluations, and the sampler's steps that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from its.engine.maker import Maker
from its.engine.pool import Pool
from its.engine.queue import Queue, pad
from its.engine.state import State, Task, Value, Walk
from its.engine.steps import Rows
from its.levels import Columns, Level
from its.model.denoiser import Denoiser


class Evaluate(Queue[State | Walk]):
    """Rows at mixed levels, each with its own condition, through the network in one batch.

    A walk between two levels waits here itself, and its guess is used at once and not kept; a state that a search
    holds keeps its guess for all its children.

    Args:
        then: called with what was evaluated, and its rows.
        guessed: called with each guess that has become known.
    """

    def __init__(
        self,
        model: Denoiser,
        pool: Pool,
        maker: Maker,
        rows: int,
        then: Callable[[Sequence[State | Walk], Rows], None],
        guessed: Callable[[Value], None],
    ) -> None:
        super().__init__(rows)
        self._model = model
        self._pool = pool
        self._maker = maker
        self._then = then
        self._guessed = guessed

    def run(self) -> tuple[list[tuple[Task, Level]], Tensor]:
        """Serve one batch; return whose rows it held, at which levels, and whether each guess is finite, bool `[n]`."""
        items = self.batch()
        served = [(item.task, item.level) for item in items]
        self._maker.make([item for item in items if isinstance(item, State)])
        x = self._pool.take(pad([item.row for item in items], self.rows))
        t = Columns.of(pad([level for _, level in served], self.rows), x.ndim, x.device)
        guess = self._model(x, t, pad([task.image.problem.condition for task, _ in served], self.rows))
        rows = Rows(x, t, guess, guess.x0).pick(list(range(len(items))))
        self._keep(items, rows)
        self._then(items, rows)
        return served, torch.isfinite(rows.guess.x0.flatten(1).sum(1) + rows.guess.eps.flatten(1).sum(1))

    def _keep(self, items: Sequence[State | Walk], rows: Rows) -> None:
        held = [row for row, item in enumerate(items) if isinstance(item, State)]
        if not held:
            return
        guess = rows.pick(held).guess
        for row, x0, eps in zip(held, self._pool.put(guess.x0), self._pool.put(guess.eps), strict=True):
            state = cast(State, items[row])
            state.value.slot = x0
            state.eps = eps
            self._guessed(state.value)
