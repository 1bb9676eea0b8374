"""Evaluations with gradients: what a guidance makes of rows at mixed levels, in batches of their own shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from its.engine.maker import Maker
from its.engine.pool import Pool
from its.engine.queue import Queue, pad
from its.engine.state import State, Task, Value, Walk
from its.engine.steps import SLOTS, Rows, Steps
from its.guidance.guidance import Guidance, GuidanceOutput
from its.guidance.guidance_input import GuidanceInput
from its.levels import Columns, Grid, Guess, Level
from its.model.denoiser import Denoiser
from its.verifier.verifier import Verifier


class Guide(Queue[State | Walk]):
    """Rows that a guidance must look at before their step.

    A state's look is kept for all its children, as its guess is.

    Args:
        guessed: called with each guess that has become known by this.
    """

    def __init__(
        self,
        guidance: Guidance,
        guide: Verifier,
        model: Denoiser,
        pool: Pool,
        maker: Maker,
        rows: int,
        steps: Steps,
        grid: Grid,
        guessed: Callable[[Value], None],
    ) -> None:
        super().__init__(rows)
        self._guidance = guidance
        self._guide = guide
        self._model = model
        self._pool = pool
        self._maker = maker
        self._steps = steps
        self._grid = grid
        self._guessed = guessed

    def accept(self, items: Sequence[State | Walk], rows: Rows) -> None:
        """Take over what has been evaluated plainly and is to be stepped."""
        between = [row for row, item in enumerate(items) if isinstance(item, Walk)]
        guesses = zip(self._pool.put(rows.x0[between]), self._pool.put(rows.guess.eps[between]), strict=True)
        for row, (x0, eps) in zip(between, guesses, strict=True):
            walk = items[row]
            assert isinstance(walk, Walk)
            walk.known, walk.eps = Value(walk.task, walk.clock, x0), eps
        for item in items:
            if isinstance(item, Walk) or item.looked:
                self.add(item.task.order, item)

    def run(self) -> tuple[list[tuple[Task, Level]], Tensor]:
        """Serve one batch; return whose rows it held, at which levels, and whether all is finite, bool `[n]`."""
        items = self.batch()
        n = len(items)
        served = [(item.task, item.level) for item in items]
        with torch.inference_mode():
            self._maker.make([item for item in items if isinstance(item, State)])
        x, plain, look = self._look(pad(items, self.rows))
        with torch.inference_mode():
            x, x0 = x[:n].detach(), plain.x0[:n].detach()
            guess = Guess(look.guess.x0[:n], look.guess.eps[:n])
            push = torch.zeros_like(x) if look.shift is None else look.shift[:n]
            self._keep(items, Guess(x0, plain.eps[:n].detach()), guess, push)
            levels = [level for _, level in served]
            self._steps.waiting(items, Rows(x, Columns.of(levels, x.ndim, x.device), guess, x0, push))
            return served, torch.isfinite(sum(part.flatten(1).sum(1) for part in (x0, *guess, push)))  # type: ignore

    def _look(self, items: Sequence[State | Walk]) -> tuple[Tensor, Guess, GuidanceOutput]:
        """Rows `x`, their plain guess, and what the guidance makes of them."""
        through = self._guidance.needs == "network"
        conditions = [item.task.image.problem.condition for item in items]
        levels = [item.level for item in items]
        with torch.enable_grad():
            x = self._pool.take([item.row for item in items]).requires_grad_(through)
            t = Columns.of(levels, x.ndim, x.device)
            guess = (
                self._model(x, t, conditions)
                if through
                else Guess(
                    self._pool.take([item.known.slot for item in items]), self._pool.take([item.eps for item in items])
                )
            )

            def score(images: Tensor) -> Tensor:
                if self._guidance.noise_aware:
                    return self._guide.reward(images, conditions, t)  # type: ignore[call-arg]
                return self._guide.reward(images, conditions)

            inputs = GuidanceInput(x, levels, guess, score, lambda k: self._draw(items, k), self._grid)
            return x, guess, self._guidance.guide(inputs)

    def _draw(self, items: Sequence[State | Walk], k: int) -> Tensor:
        return self._maker.step_noise(items, SLOTS + k, SLOTS + self._guidance.num_draws)

    def _keep(self, items: Sequence[State | Walk], plain: Guess, guess: Guess, push: Tensor) -> None:
        held = [row for row, item in enumerate(items) if isinstance(item, State)]
        if not held:
            return
        looks = zip(*(self._pool.put(part[held]) for part in (plain.x0, *guess, push)), strict=True)
        for row, (x0, *look) in zip(held, looks, strict=True):
            state = items[row]
            assert isinstance(state, State)
            state.look = tuple(look)
            if self._guidance.needs == "network":
                state.value.slot = x0
                state.eps = look[1]
                self._guessed(state.value)
