"""The sampler's steps, of rollouts that each stand at their own level."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, cast

import torch
from torch import Tensor

from its.engine.draws import RECURRENCE, STEP
from its.engine.log_ratio import LogRatio, LogRatios
from its.engine.materialise import Materialiser
from its.engine.readback import Readback
from its.engine.rows import History, Rows, column, index_of, rows_at
from its.engine.search_run import Value
from its.engine.state import FirstStage, Rollout, State
from its.guidance.guidance import Guidance
from its.levels import Columns, Guess
from its.model.denoiser import Clipping
from its.particles.moves import dot
from its.particles.probe import Probe
from its.sampler.sampler import Sampler


class Batch(NamedTuple):
    """Rows that are ready to step.

    Attributes:
        x: rows `[n, *shape]`. t: their levels.
        guess: that the step starts from: a guidance's, or the network's own, which is clipped then.
        own: the network's own guess.
        shift: the guidance's term after the step; None without one.
    """

    x: Tensor
    t: Columns
    guess: Guess
    own: Guess
    shift: Tensor | None = None

    def pick(self, places: list[int]) -> Batch:
        """Return the rows at the given places, in that order."""
        if places == list(range(len(self.x))):
            return self
        index = index_of(places, self.x.device)
        guess = self.guess.pick(index)
        return Batch(
            self.x[index],
            Columns(*(column[index] for column in self.t)),
            guess,
            guess if self.own is self.guess else self.own.pick(index),
            None if self.shift is None else self.shift[index],
        )


class Stepped(NamedTuple):
    """Rollouts after a step: those at the end of their route, whose child has its state, and those that go on."""

    arrivals: list[Rollout]
    onward: list[Rollout]


class Steps:
    """Takes rollouts one step further.

    Args:
        clipping: of the guess that steps start from.
        probe: the level whose guess rows keep; None without one.
        readback: brings the log-ratios of twisted steps.
    """

    def __init__(
        self,
        sampler: Sampler,
        guidance: Guidance,
        rows: Rows,
        materialiser: Materialiser,
        clipping: Clipping,
        probe: Probe | None,
        readback: Readback,
    ) -> None:
        self._sampler = sampler
        self._guidance = guidance
        self._rows = rows
        self._materialiser = materialiser
        self._clipping = clipping
        self._probe = probe
        self._readback = readback

    def follow(self, items: Sequence[State | Rollout], batch: Batch) -> Stepped:
        """Step every rollout that waited for these rows."""
        rollouts: list[Rollout] = []
        places: list[int] = []
        for place, item in enumerate(items):
            waiting = (item,) if isinstance(item, Rollout) else item.release_rollouts()
            rollouts += waiting
            places += [place] * len(waiting)

        # A state may have many children: they are not copied all at once.
        stepped = Stepped([], [])
        for first in range(0, len(rollouts), at_once := self._rows.at_once):
            part = slice(first, first + at_once)
            arrivals, onward = self.step(rollouts[part], batch.pick(places[part]))
            stepped.arrivals.extend(arrivals)
            stepped.onward.extend(onward)
        return stepped

    def step(self, rollouts: Sequence[Rollout], batch: Batch) -> Stepped:
        """Step each rollout from its evaluated row, with its noise or without; a second stage corrects the first."""
        stepped = Stepped([], [])
        first = [k for k, rollout in enumerate(rollouts) if rollout.first_stage is None]
        second = [k for k, rollout in enumerate(rollouts) if rollout.first_stage is not None]
        for deterministic in (False, True):
            if alike := [k for k in first if rollouts[k].deterministic == deterministic]:
                sampler = self._without_noise if deterministic else self._sampler
                self._first_stage(sampler, [rollouts[k] for k in alike], batch.pick(alike), stepped)
        if second:
            self._second_stage([rollouts[k] for k in second], batch.pick(second).guess, stepped)
        return stepped

    @cached_property
    def _without_noise(self) -> Sampler:
        """The sampler whose steps deterministic rollouts take."""
        return self._sampler.deterministic()

    def _first_stage(self, sampler: Sampler, rollouts: Sequence[Rollout], batch: Batch, stepped: Stepped) -> None:
        # The sampler's step, and the guidance's shift after it.
        s = Columns.of([rollout.route[rollout.at + 1] for rollout in rollouts], batch.x.ndim, batch.x.device)
        z = self._noise(rollouts, batch.x) if sampler.stochastic else None
        guess = self._clipping(batch.guess, batch.t)._replace(share=batch.own.share)
        x = sampler.step(batch.x, self._extrapolated(rollouts, guess, batch.t), batch.t, s, z)
        if self._guidance.twists:
            x = x if z is None else self._twisted(rollouts, x, batch, guess, s, z)
        elif batch.shift is not None:
            x = (x + batch.shift * self._guidance.shift_scale(batch.t, s)).to(x)

        # All but the last of its rounds go back up.
        rounds = self._guidance.rounds
        last = [k for k, rollout in enumerate(rollouts) if rollout.round + 1 == rounds]
        again = [k for k, rollout in enumerate(rollouts) if rollout.round + 1 < rounds]
        if last:
            batch = batch._replace(guess=guess)
            self._store([rollouts[k] for k in last], batch.pick(last), rows_at(x, last) if again else x, stepped)
        if again:
            self._recur([rollouts[k] for k in again], rows_at(x, again), stepped)

    def _twisted(
        self, rollouts: Sequence[Rollout], x: Tensor, batch: Batch, guess: Guess, s: Columns, z: Tensor
    ) -> Tensor:
        """Move the mean of each step's noise, and send back log p - log q of it: both are normal, and as wide.

        Args:
            x: rows after the sampler's own step.
            guess: that this started from. z: its standard normal noise.
        """
        std = self._sampler.noise_std(guess, batch.t, s)
        move = std * cast(Tensor, batch.shift)
        terms = -dot(move, z + 0.5 * move).flatten()
        for rollout in rollouts:
            if rollout.state is not None:
                rollout.log_ratio = LogRatio(rollout.state.log_ratio)
            cast(LogRatio, rollout.log_ratio).pending += 1
        self._readback.send(LogRatios([cast(LogRatio, rollout.log_ratio) for rollout in rollouts]), terms)
        return (x + std * move).to(x)

    def _extrapolated(self, rollouts: Sequence[Rollout], guess: Guess, t: Columns) -> Guess:
        """Return the guesses that steps start from: those with a history are moved on as the sampler says."""
        # Weigh the change since the last step, for the rows that have one.
        if not self._sampler.multistep:
            return guess
        weights, earlier = {}, []
        for k, each in enumerate(rollouts):
            last, (here, there) = each.history, each.route[each.at : each.at + 2]
            if last and (weight := self._sampler.extrapolation(last.level, here, there)):
                weights[k] = weight
                earlier.append(last.x0)
        if not weights:
            return guess

        # Add it to x0_hat, and let eps_hat follow, so that the two still make x_t.
        x0, eps = guess.x0, guess.eps
        places = index_of([*weights], x0.device)
        ratio = (t.alpha / t.sigma)[places].to(x0)
        change = column([*weights.values()], x0) * (x0[places] - self._rows.take(earlier))
        return guess._replace(x0=x0.index_add(0, places, change), eps=eps.index_add(0, places, -ratio * change))

    def _recur(self, rollouts: Sequence[Rollout], x: Tensor, stepped: Stepped) -> None:
        """Take rows back up to the level that they have just left, to leave it again."""
        t, s = (Columns.of([each.route[each.at + k] for each in rollouts], x.ndim, x.device) for k in (0, 1))
        # The forward kernel's deviation, in the order of operations that results on disk were made with.
        std = (t.sigma**2 - (t.alpha / s.alpha * s.sigma) ** 2).clamp(min=0.0).sqrt()
        x = (t.alpha / s.alpha).to(x) * x + std.to(x) * self._materialiser.step_noise(rollouts, RECURRENCE)
        for rollout, row in zip(rollouts, self._rows.put(x), strict=True):
            rollout.state, rollout.x, rollout.history = None, row, None
            rollout.round += 1
        stepped.onward.extend(rollouts)

    def _store(self, rollouts: Sequence[Rollout], batch: Batch, x: Tensor, stepped: Stepped) -> None:
        """Give each rollout the row that its step has led to; one of two stages goes on to its second."""
        rows = self._rows.put(x)
        second = self._sampler.second_order
        two = [second and self._sampler.stages(each.route[each.at], each.route[each.at + 1]) == 2 for each in rollouts]
        arriving = [rollout.at + 2 == len(rollout.route) for rollout in rollouts]
        crossing = self._crossing(rollouts)
        guesses = self._guesses(rollouts, [*map(any, zip(two, arriving, crossing, strict=True))], batch.own.x0)
        self._keep_first_stages(rollouts, two, guesses, batch.own)
        histories = self._histories(rollouts, batch.guess.x0) if self._sampler.multistep else {}
        for k, (rollout, row) in enumerate(zip(rollouts, rows, strict=True)):
            rollout.state, rollout.x, rollout.history = None, row, histories.get(k)
            if crossing[k]:
                rollout.probe = guesses[k]
            if two[k]:
                stepped.onward.append(rollout)
            else:
                _land(rollout, guesses.get(k), stepped)

    def _second_stage(self, rollouts: Sequence[Rollout], guess: Guess, stepped: Stepped) -> None:
        stages = [cast(FirstStage, rollout.first_stage) for rollout in rollouts]
        x = self._rows.take([stage.x for stage in stages])
        t, s = (Columns.of([each.route[each.at + k] for each in rollouts], x.ndim, x.device) for k in (0, 1))
        before = self._rows.take_guess([stage.own for stage in stages])
        corrected = self._sampler.correct(x, self._clipping(before, t), self._clipping(guess, s), t, s)
        rows = self._rows.put(corrected)
        for rollout, stage, row in zip(rollouts, stages, rows, strict=True):
            rollout.first_stage, rollout.x = None, row
            _land(rollout, stage.guess, stepped)

    def _guesses(self, rollouts: Sequence[Rollout], needs: Sequence[bool], x0: Tensor) -> dict[int, Value]:
        """Return the guesses that the steps in need started from; one between two states is kept only here."""
        guesses = {k: each.state.guess for k, each in enumerate(rollouts) if needs[k] and each.state is not None}
        between = [k for k, rollout in enumerate(rollouts) if needs[k] and rollout.state is None]
        for k, row in zip(between, self._rows.put(rows_at(x0, between)) if between else [], strict=True):
            guesses[k] = Value(rollouts[k].run, rollouts[k].clock, row, guessed=True, probe=rollouts[k].probe)
        return guesses

    def _crossing(self, rollouts: Sequence[Rollout]) -> list[bool]:
        """Return which steps go past the probe's level."""
        if self._probe is None:
            return [False] * len(rollouts)
        return [self._probe.crossed(*rollout.route[rollout.at : rollout.at + 2]) for rollout in rollouts]

    def _histories(self, rollouts: Sequence[Rollout], x0: Tensor) -> dict[int, History]:
        """Return the histories that steps leave, of which the one into an image leaves none."""
        ends = [rollout.route[rollout.at : rollout.at + 2] for rollout in rollouts]
        places = [k for k, (_, s) in enumerate(ends) if not s.clean]
        rows = self._rows.put(rows_at(x0, places)) if places else []
        return {k: History(row, ends[k][0]) for k, row in zip(places, rows, strict=True)}

    def _keep_first_stages(
        self, rollouts: Sequence[Rollout], two: Sequence[bool], guesses: dict[int, Value], own: Guess
    ) -> None:
        """Keep what `correct` needs of the first of two stages."""
        places = [k for k, both in enumerate(two) if both]
        first = self._rows.put_guess(own.pick(index_of(places, own.x0.device))) if places else []
        for k, rows in zip(places, first, strict=True):
            rollouts[k].first_stage = FirstStage(rollouts[k].row, guesses[k], rows)

    def _noise(self, rollouts: Sequence[Rollout], x: Tensor) -> Tensor:
        """Return for each step the search's noise, a draw of its own, or zeros if it takes none."""
        # Tell apart the steps that take the search's noise and those that draw.
        from_search = [k for k, rollout in enumerate(rollouts) if rollout.noise is not None and not rollout.round]
        fresh = [
            k
            for k, rollout in enumerate(rollouts)
            if (rollout.noise is None or rollout.round)
            and self._sampler.noisy(rollout.route[rollout.at], rollout.route[rollout.at + 1])
        ]
        if len(fresh) == len(rollouts):
            return self._materialiser.step_noise(rollouts, STEP)

        # Fill in both.
        z = torch.zeros_like(x)
        if from_search:
            states = cast("list[State]", [rollouts[k].noise for k in from_search])
            z.index_copy_(0, index_of(from_search, z.device), self._materialiser.search_noise(states).to(z))
        for k in from_search:
            rollouts[k].noise = None
        if fresh:
            draws = self._materialiser.step_noise([rollouts[k] for k in fresh], STEP)
            z.index_copy_(0, index_of(fresh, z.device), draws)
        return z


def _land(rollout: Rollout, before: Value | None, stepped: Stepped) -> None:
    """Stand a rollout on the next level of its route; at the end of that its child gets its state."""
    rollout.at += 1
    rollout.round = 0
    if rollout.at == len(rollout.route) - 1:
        child = rollout.child
        level, history, probe = rollout.route[-1], rollout.history, rollout.probe
        stands = rollout.run, level, rollout.x, rollout.clock, child.noise_key
        child.state = State(*stands, before, history=history, probe=probe, log_ratio=rollout.log_ratio)
        stepped.arrivals.append(rollout)
    else:
        stepped.onward.append(rollout)
