"""Guided rows at mixed levels: gradients of a verifier, computed in batches of their own shape."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from its.engine.draws import MONTE_CARLO
from its.engine.materialise import Materialiser
from its.engine.queue import Evaluated, Guided, Queue, Served, Shape, pad
from its.engine.rows import GuessRows, Rows, index_of, rows_at
from its.engine.search_run import Value
from its.engine.state import Rollout, State
from its.engine.steps import Batch, Stepped, Steps
from its.guidance.guidance import Guidance, GuidanceOutput
from its.guidance.guidance_input import GuidanceInput
from its.levels import Columns, Grid, Guess
from its.model.denoiser import Denoiser
from its.types import Condition
from its.verifier.verifier import Verifier, rewards_of

Items = Sequence[State | Rollout]


def decodes(guidance: Guidance, model: Denoiser) -> bool:
    """Return whether a guide sees decoded images, through which gradients pass: of a latent model, but for x_t."""
    return model.decoder is not None and not guidance.noise_aware


class Guide(Queue[State | Rollout]):
    """Rows that wait for a guidance before their step.

    A state keeps its guidance for all its children. Of a latent model the guide scores what the decoder makes of rows.

    Args:
        guide: the verifier whose gradients the guidance takes.
        shape: of a batch.
        grid: of a plain sampling.
    """

    def __init__(
        self,
        guidance: Guidance,
        guide: Verifier,
        model: Denoiser,
        rows: Rows,
        materialiser: Materialiser,
        steps: Steps,
        shape: Shape,
        grid: Grid,
    ) -> None:
        super().__init__(shape)
        self._name = f"{type(model).__name__}, guided by {type(guide).__name__},"
        self._guidance = guidance
        self._guide = guide
        self._model = model
        self._decoder = model.decoder if decodes(guidance, model) else None
        self._rows = rows
        self._materialiser = materialiser
        self._steps = steps
        self._grid = grid

    def serve(self) -> Served:
        """Guide one batch, and step it."""
        # Gather the rows, made now if they are recipes yet, and guide them.
        items = self.batch()
        n = len(items)
        owners = [(item.run, item.level) for item in items]
        with torch.inference_mode():
            self._materialiser.make([item for item in items if isinstance(item, State)])
        x, own, output, scores = self._guided(pad(items, self.size))

        # Keep what states need further on, and step.
        with torch.inference_mode():
            x, own = x[:n].detach(), own.pick(slice(n)).detached()
            guess = Guess(output.guess.x0[:n], output.guess.eps[:n])
            shift = torch.zeros_like(x) if output.shift is None else output.shift[:n]
            states = {place: item for place, item in enumerate(items) if isinstance(item, State)}
            values = self._keep(states, own, guess, shift) if states else []
            t = Columns.of([level for _, level in owners], x.ndim, x.device)
            stepped = self._steps.follow(items, Batch(x, t, guess, own, shift))
            finite = torch.isfinite(own.sums() + guess.sums() + shift.flatten(1).sum(1))
        guesses = [states[k].guess if k in states else None for k in range(n)] if self._guidance.twists else []
        judged = Guided(type(self._guide).__name__, [item.run for item in items], guesses)
        return Served(values, *stepped, [(Evaluated(self._name, owners), finite), (judged, scores[:n])])

    @abstractmethod
    def _evaluated(self, items: Items, t: Columns, conditions: Sequence[Condition]) -> tuple[Tensor, Guess]:
        """Return rows and the network's own guess, with the gradients that the guidance takes."""

    def _guided(self, items: Items) -> tuple[Tensor, Guess, GuidanceOutput, Tensor]:
        """Compute rows, the network's own guess, the guidance's output and the guide's scores `[n, scores]`."""
        scores: list[Tensor] = []
        conditions = [item.run.image.problem.condition for item in items]
        levels = [item.level for item in items]
        with torch.enable_grad():
            t = Columns.of(levels, 1 + len(self._model.shape), self._model.device)
            x, guess = self._evaluated(items, t, conditions)

            def score(rows: Tensor) -> Tensor:
                noisy = (t,) if self._guidance.noise_aware else ()
                images = rows if self._decoder is None else self._decoder(rows)
                scores.append(rewards_of(self._guide, images, conditions, *noisy))
                return scores[-1]

            def draw(k: int) -> Tensor:
                return self._materialiser.step_noise(items, MONTE_CARLO + k)

            plain = self._model.clipping(guess, t)
            output = self._guidance.guide(GuidanceInput(x, levels, guess, plain, score, draw, self._grid))
        judged = torch.stack([each.detach() for each in scores], dim=1) if scores else x.new_zeros(len(x), 0)
        return x, guess, output, judged

    def _keep(self, states: dict[int, State], own: Guess, guess: Guess, shift: Tensor) -> list[Value]:
        """Store the guidance of states, which are given by their places in the batch.

        Returns:
            Guesses that have become known.
        """
        places = list(states)
        parts = [self._rows.put(rows_at(part, places)) for part in (guess.x0, guess.eps, shift)]
        for state, guided_x0, guided_eps, shifted in zip(states.values(), *parts, strict=True):
            state.guidance = guided_x0, guided_eps, shifted
        return []


class GuideAtGuess(Guide):
    """Rows whose guess is known, for a guidance that takes gradients of the guide alone."""

    def follow(self, items: Items, batch: Batch) -> Stepped:
        """Queue what has been evaluated plainly and is to be stepped; states that are only scored are left out."""
        # Rollouts between levels keep their guess until they are guided.
        between = {place: item for place, item in enumerate(items) if isinstance(item, Rollout)}
        own_rows = self._rows.put_guess(batch.own.pick(index_of([*between], batch.x.device)))
        for rollout, own in zip(between.values(), own_rows, strict=True):
            rollout.guess = Value(rollout.run, rollout.clock, own.x0, guessed=True)
            rollout.own = own

        for item in items:
            if isinstance(item, Rollout) or item.guidance_paid:
                self.add(item.run.order, item)
        return Stepped([], [])

    def _evaluated(self, items: Items, t: Columns, conditions: Sequence[Condition]) -> tuple[Tensor, Guess]:
        x = self._rows.take([item.row for item in items])
        return x, self._rows.take_guess([cast(GuessRows, item.own) for item in items])


class GuideThroughNetwork(Guide):
    """Rows that are evaluated here, for a guidance that takes gradients through the network."""

    def _evaluated(self, items: Items, t: Columns, conditions: Sequence[Condition]) -> tuple[Tensor, Guess]:
        x = self._rows.take([item.row for item in items]).requires_grad_()
        return x, self._model(x, t, conditions)

    def _keep(self, states: dict[int, State], own: Guess, guess: Guess, shift: Tensor) -> list[Value]:
        super()._keep(states, own, guess, shift)
        for state, rows in zip(
            states.values(), self._rows.put_guess(own.pick(index_of([*states], own.x0.device))), strict=True
        ):
            state.guess.row = rows.x0
            state.own = rows
        return [state.guess for state in states.values()]
