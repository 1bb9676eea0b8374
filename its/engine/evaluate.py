"""Network evaluations, and the sampler's steps that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from its.engine.maker import Maker
from its.engine.pool import Pool
from its.engine.queue import Queue, pad
from its.engine.state import State, Walk
from its.model.denoiser import Denoiser
from its.paths import Verb, fold
from its.sampler.sampler import Columns, Guess, Sampler


class Evaluate(Queue[State]):
    """Rows at mixed levels, each with its own condition, through the network in one batch.

    Args:
        arrive: called with each walk that has come to the end of its route.
        guessed: called with each state whose guess has become known.
    """

    def __init__(self, model: Denoiser, sampler: Sampler, pool: Pool, maker: Maker, rows: int,
                 arrive: Callable[[Walk], None], guessed: Callable[[State], None]) -> None:
        super().__init__(rows)
        self._model = model
        self._sampler = sampler
        self._pool = pool
        self._maker = maker
        self._arrive = arrive
        self._guessed = guessed

    def run(self) -> tuple[list[State], Tensor]:
        """Serve one batch; return its states and whether each guess is finite, bool `[n]`."""
        states = self.batch()
        self._maker.make(states)
        n = len(states)
        x = self._pool.take(pad([state.x for state in states], self.rows))
        levels = Columns.of(pad([state.level for state in states], self.rows), x.ndim, x.device)
        guess = self._model(x, levels, pad([state.task.image.problem.condition for state in states], self.rows))
        for state, x0, eps in zip(states, self._pool.put(guess.x0[:n]), self._pool.put(guess.eps[:n]), strict=True):
            state.guess.slot = x0
            state.eps = eps
        walks = []
        for state in states:
            walks += state.walks
            state.walks = []
            self._guessed(state)
        self.step(walks)
        finite = torch.isfinite(guess.x0[:n]).flatten(1).all(1) & torch.isfinite(guess.eps[:n]).flatten(1).all(1)
        return states, finite

    def step(self, walks: Sequence[Walk]) -> None:
        """Take the next step of walks whose state has a guess; those that go on wait for the next."""
        first = [walk for walk in walks if walk.origin is None]
        second = [walk for walk in walks if walk.origin is not None]
        if first:
            self._settle(first, self._first(first), second_stage=False)
        if second:
            self._settle(second, self._second(second), second_stage=True)

    def _levels(self, walks: Sequence[Walk], offset: int, ndim: int) -> Columns:
        return Columns.of([walk.route[walk.at + offset] for walk in walks], ndim, self._model.device)

    def _guess(self, states: Sequence[State]) -> Guess:
        return Guess(self._pool.take([state.guess.slot for state in states]),
                     self._pool.take([state.eps for state in states]))

    def _first(self, walks: Sequence[Walk]) -> Tensor:
        states = [walk.state for walk in walks]
        x = self._pool.take([state.x for state in states])
        t, s = self._levels(walks, 0, x.ndim), self._levels(walks, 1, x.ndim)
        z = self._step_noise(walks) if self._sampler.stochastic else None
        return self._sampler.step(x, self._guess(states), t, s, z)

    def _second(self, walks: Sequence[Walk]) -> Tensor:
        origins = [walk.origin or walk.state for walk in walks]
        x = self._pool.take([origin.x for origin in origins])
        t, s = self._levels(walks, 0, x.ndim), self._levels(walks, 1, x.ndim)
        return self._sampler.correct(x, self._guess(origins), self._guess([walk.state for walk in walks]), t, s)

    def _step_noise(self, walks: Sequence[Walk]) -> Tensor:
        """Slot 0 of each walk's step path at the level it leaves, or the noise that it was given."""
        paths = [fold(walk.child.step, Verb.STEP, walk.route[walk.at].key, 0) for walk in walks]
        z = self._maker.noise([walk.task.image for walk in walks], paths)
        given = {row: walk.noise for row, walk in enumerate(walks) if walk.noise is not None}
        if given:
            z[list(given)] = self._maker.given(list(given.values()))
        for row in given:
            walks[row].noise = None
        return z

    def _settle(self, walks: Sequence[Walk], rows: Tensor, *, second_stage: bool) -> None:
        for walk, slot in zip(walks, self._pool.put(rows), strict=True):
            t, s = walk.route[walk.at], walk.route[walk.at + 1]
            start = walk.origin or walk.state
            state = State(walk.task, s, slot, walk.clock, start.guess)
            if not second_stage and self._sampler.stages(t, s) == 2:
                walk.origin = start
            else:
                walk.origin = None
                walk.at += 1
            walk.state = state
            if walk.at == len(walk.route) - 1:
                self._arrive(walk)
            elif not walk.task.failure:
                state.walks.append(walk)
                self.add(state.task.order, state)
