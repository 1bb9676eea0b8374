"""Network evaluations without gradients, of rows at mixed levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

import torch

from its.engine.materialise import Materialiser
from its.engine.queue import Evaluated, Queue, Served, Shape, pad
from its.engine.rows import Rows
from its.engine.search_run import Value
from its.engine.state import Rollout, State
from its.engine.steps import Batch, Stepped
from its.levels import Columns
from its.model.denoiser import Denoiser


class Follower(Protocol):
    """The part that takes over rows once they are evaluated: the sampler's steps, or a guidance."""

    def follow(self, items: Sequence[State | Rollout], batch: Batch) -> Stepped:
        """Take over evaluated items; return the rollouts that this has stepped."""
        ...


class Evaluate(Queue[State | Rollout]):
    """Rows that wait for the network, each at its level and with its condition.

    A rollout between two levels waits here itself, and its guess is used at once and not kept; a state that a search
    holds keeps its guess for all its children.

    Args:
        shape: of a batch.
        follower: takes over what has been evaluated.
    """

    def __init__(
        self, model: Denoiser, rows: Rows, materialiser: Materialiser, shape: Shape, follower: Follower
    ) -> None:
        super().__init__(shape)
        self._model = model
        self._rows = rows
        self._materialiser = materialiser
        self._follower = follower

    @torch.inference_mode()
    def serve(self) -> Served:
        """Evaluate one batch, and hand it to the follower."""
        # Gather the rows, made now if they are recipes yet.
        items = self.batch()
        owners = [(item.run, item.level) for item in items]
        self._materialiser.make([item for item in items if isinstance(item, State)])
        x = self._rows.take(pad([item.row for item in items], self.size))

        # Evaluate the network.
        t = Columns.of(pad([level for _, level in owners], self.size), x.ndim, x.device)
        guess = self._model(x, t, pad([run.image.problem.condition for run, _ in owners], self.size))
        batch = Batch(x, t, guess, guess).pick(list(range(len(items))))

        # Keep the guesses of states, and step.
        values = self._keep(items, batch)
        stepped = self._follower.follow(items, batch)
        finite = torch.isfinite(batch.own.sums())
        return Served(values, *stepped, [(Evaluated(type(self._model).__name__, owners), finite)])

    def _keep(self, items: Sequence[State | Rollout], batch: Batch) -> list[Value]:
        """Store the guesses of states, and return them."""
        places = [place for place, item in enumerate(items) if isinstance(item, State)]
        if not places:
            return []
        values = []
        for place, own in zip(places, self._rows.put_guess(batch.pick(places).own), strict=True):
            state = cast(State, items[place])
            state.guess.row = own.x0
            state.own = own
            values.append(state.guess)
        return values
