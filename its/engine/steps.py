"""The sampler's steps, of walks that each stand at their own level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from its.engine.maker import Maker
from its.engine.pool import Pool
from its.engine.state import Origin, State, Value, Walk
from its.guidance.guidance import Guidance
from its.levels import Columns, Guess
from its.sampler.sampler import Sampler

OWN, RECURRENCE, SLOTS = 0, 1, 2
"""Slots of the noise of one step at one level: its own, the recurrence's; a guidance's Monte-Carlo draws come after."""


class Rows(NamedTuple):
    """A batch that is ready to step.

    Attributes:
        x: rows `[n, *shape]`. t: their levels.
        guess: that the step starts from, guided or not.
        x0: the network's own x0_hat.
        push: of a guidance; None without one.
    """

    x: Tensor
    t: Columns
    guess: Guess
    x0: Tensor
    push: Tensor | None = None

    def pick(self, rows: list[int]) -> Rows:
        """The given rows, in that order."""
        if rows == list(range(len(self.x))):
            return self
        index = torch.tensor(rows).to(self.x.device, non_blocking=True)
        return Rows(
            self.x[index],
            Columns(*(column[index] for column in self.t)),
            Guess(self.guess.x0[index], self.guess.eps[index]),
            self.x0[index],
            None if self.push is None else self.push[index],
        )


class Steps:
    """Takes walks one step further.

    Args:
        arrive: called with each walk that has come to the end of its route, and its last state.
        go_on: called with each walk whose next level must be evaluated.
    """

    def __init__(
        self,
        sampler: Sampler,
        guidance: Guidance,
        pool: Pool,
        maker: Maker,
        arrive: Callable[[Walk, State], None],
        go_on: Callable[[Walk], None],
    ) -> None:
        self._sampler = sampler
        self._guidance = guidance
        self._pool = pool
        self._maker = maker
        self._arrive = arrive
        self._go_on = go_on

    def known(self, walks: Sequence[Walk]) -> None:
        """Step walks that start from states whose guess, or look, has been there before."""
        states = cast("list[State]", [walk.state for walk in walks])
        x, x0 = self._pool.take([state.x for state in states]), self._pool.take([state.value.slot for state in states])
        t = Columns.of([state.level for state in states], x.ndim, x.device)
        if self._guidance.needs == "nothing":
            self.take(walks, Rows(x, t, Guess(x0, self._pool.take([state.eps for state in states])), x0))
        else:
            looks = zip(*(cast(tuple, state.look) for state in states), strict=True)
            guided, eps, push = (self._pool.take(slots) for slots in looks)
            self.take(walks, Rows(x, t, Guess(guided, eps), x0, push))

    def waiting(self, items: Sequence[State | Walk], rows: Rows) -> None:
        """Step every walk that waited for these rows."""
        walks: list[Walk] = []
        which: list[int] = []
        for row, item in enumerate(items):
            waiting = (item,) if isinstance(item, Walk) else item.take_walks()
            walks += waiting
            which += [row] * len(waiting)
        if walks:
            self.take(walks, rows.pick(which))

    def take(self, walks: Sequence[Walk], rows: Rows) -> None:
        """Step each walk from its evaluated row; the second of two stages corrects the first."""
        first = [k for k, walk in enumerate(walks) if walk.origin is None]
        second = [k for k, walk in enumerate(walks) if walk.origin is not None]
        if first:
            self._first([walks[k] for k in first], rows.pick(first))
        if second:
            self._second([walks[k] for k in second], rows.pick(second).guess)

    def _first(self, walks: Sequence[Walk], rows: Rows) -> None:
        s = Columns.of([walk.route[walk.at + 1] for walk in walks], rows.x.ndim, rows.x.device)
        z = self._noise(walks, rows.x) if self._sampler.stochastic else None
        landed = self._sampler.step(rows.x, rows.guess, rows.t, s, z)
        if rows.push is not None:
            landed = (landed + rows.push * self._guidance.shift_scale(rows.t, s)).to(landed)
        rounds = self._guidance.rounds
        done = [k for k, walk in enumerate(walks) if walk.round + 1 == rounds]
        again = [k for k, walk in enumerate(walks) if walk.round + 1 < rounds]
        if done:
            self._settle([walks[k] for k in done], rows.pick(done), landed[done] if again else landed)
        if again:
            self._recur([walks[k] for k in again], landed[again])

    def _recur(self, walks: Sequence[Walk], x: Tensor) -> None:
        """Take rows back up to the level that they have just left, to leave it again."""
        t, s = (Columns.of([walk.route[walk.at + k] for walk in walks], x.ndim, x.device) for k in (0, 1))
        std = (t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2).clamp(min=0.0).sqrt()
        x = (t.alpha / s.alpha).to(x) * x + std.to(x) * self._draw(walks, RECURRENCE)
        for walk, slot in zip(walks, self._pool.put(x), strict=True):
            walk.state, walk.x = None, slot
            walk.round += 1
            self._go_on(walk)

    def _settle(self, walks: Sequence[Walk], rows: Rows, landed: Tensor) -> None:
        slots = self._pool.put(landed)
        second = self._sampler.second_order
        two = [second and self._sampler.stages(walk.route[walk.at], walk.route[walk.at + 1]) == 2 for walk in walks]
        arriving = [walk.at + 2 == len(walk.route) for walk in walks]
        guesses = self._guesses(walks, [a or b for a, b in zip(two, arriving, strict=True)], rows.x0)
        self._keep_origins(walks, two, guesses, rows.guess.eps)
        for k, (walk, slot) in enumerate(zip(walks, slots, strict=True)):
            walk.state, walk.x = None, slot
            if two[k]:
                self._go_on(walk)
            else:
                self._land(walk, guesses.get(k))

    def _second(self, walks: Sequence[Walk], guess: Guess) -> None:
        origins = [cast(Origin, walk.origin) for walk in walks]
        x = self._pool.take([origin.x for origin in origins])
        t, s = (Columns.of([walk.route[walk.at + k] for walk in walks], x.ndim, x.device) for k in (0, 1))
        before = Guess(
            self._pool.take([origin.guess.slot for origin in origins]),
            self._pool.take([origin.eps for origin in origins]),
        )
        slots = self._pool.put(self._sampler.correct(x, before, guess, t, s))
        for walk, origin, slot in zip(walks, origins, slots, strict=True):
            walk.origin, walk.x = None, slot
            self._land(walk, origin.guess)

    def _land(self, walk: Walk, before: Value | None) -> None:
        """The walk stands at the next level of its route."""
        walk.at += 1
        walk.round = 0
        if walk.at == len(walk.route) - 1:
            self._arrive(walk, State(walk.task, walk.route[-1], walk.x, walk.clock, walk.step, before))
        else:
            self._go_on(walk)

    def _guesses(self, walks: Sequence[Walk], wanted: Sequence[bool], x0: Tensor) -> dict[int, Value]:
        """The guess that each wanted step starts from; one between two states is kept only here."""
        found = {k: walk.state.value for k, walk in enumerate(walks) if wanted[k] and walk.state is not None}
        fresh = [k for k, walk in enumerate(walks) if wanted[k] and walk.state is None]
        slots = self._pool.put(x0[fresh]) if fresh else []
        return found | {k: Value(walks[k].task, walks[k].clock, slot) for k, slot in zip(fresh, slots, strict=True)}

    def _keep_origins(self, walks: Sequence[Walk], two: Sequence[bool], guesses: dict[int, Value], eps: Tensor) -> None:
        """What `correct` needs of the first stage."""
        kept = [k for k, both in enumerate(two) if both]
        for k, slot in zip(kept, self._pool.put(eps[kept]) if kept else [], strict=True):
            walks[k].origin = Origin(walks[k].row, guesses[k], slot)

    def _noise(self, walks: Sequence[Walk], x: Tensor) -> Tensor:
        """For each step the noise that its walk was given, a draw of its own, or zeros if it takes none."""
        given = [k for k, walk in enumerate(walks) if walk.noise is not None and not walk.round]
        own = [
            k
            for k, walk in enumerate(walks)
            if (walk.noise is None or walk.round) and self._sampler.noisy(walk.route[walk.at], walk.route[walk.at + 1])
        ]
        if len(own) == len(walks):
            return self._draw(walks, OWN)
        z = torch.zeros_like(x)
        if given:
            z[given] = self._maker.given(cast("list[State]", [walks[k].noise for k in given])).to(z)
        for k in given:
            walks[k].noise = None
        if own:
            z[own] = self._draw([walks[k] for k in own], OWN)
        return z

    def _draw(self, walks: Sequence[Walk], slot: int) -> Tensor:
        return self._maker.step_noise(walks, slot, SLOTS + self._guidance.num_draws)
