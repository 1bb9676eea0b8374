"""Gradients that searches take of the guide's score: at a guess, through the network, or through the whole way down."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from its.engine.draws import STEP
from its.engine.materialise import Materialiser
from its.engine.queue import Evaluated, Guided, Queue, Served, Shape, pad
from its.engine.rows import GuessRows, Rows, index_of
from its.engine.search_run import SearchRun, Value
from its.engine.state import Rollout, State
from its.levels import Columns, Guess, Level
from its.model.denoiser import Denoiser
from its.particles.prices import Route
from its.particles.verbs import Slope, Through
from its.sampler.sampler import Sampler
from its.types import Condition
from its.verifier.verifier import Verifier, rewards_of

SLOPES = {"guess": "slopes", "network": "slopes network", "sampler": "slopes network"}
"""The kind of work by what the gradient goes through, as queues are named."""


class Ask(NamedTuple):
    """A particle whose slope is asked for, at a position of the reply.

    Attributes:
        rollout: its way down to an image, where the gradient goes through that; else None.
    """

    run: SearchRun
    position: int
    state: State
    rollout: Rollout | None = None

    @property
    def level(self) -> Level:
        """Return the level at which it is evaluated."""
        return self.state.level


class Taken(NamedTuple):
    """Slopes that come back, `[n, 1 + 2 d]`: the guide's score, the row and the gradient."""

    asks: list[Ask]
    shape: tuple[int, ...]

    def replies(self, numbers: np.ndarray) -> list[tuple[SearchRun, int, Slope]]:
        """Return what each search is answered, and where; a score of NaN is minus infinity."""
        replies = []
        for ask, row in zip(self.asks, numbers, strict=True):
            x, gradient = row[1:].reshape(2, *self.shape)
            score = -np.inf if np.isnan(row[0]) else float(row[0])
            image = None if ask.rollout is None else ask.rollout.child
            replies.append((ask.run, ask.position, Slope(x, gradient, score, image)))
        return replies


class Part(NamedTuple):
    """What a batch came to.

    Attributes:
        x: rows that the gradient is of, or that the guess belongs to. gradient, scores: of the guide.
        finite: sums that are finite only if all numbers of a row are, `[n]`.
        values: guesses that have become known by it.
    """

    x: Tensor
    gradient: Tensor
    scores: Tensor
    finite: Tensor
    values: Sequence[Value] = ()


class Slopes(Queue[Ask]):
    """Particles that wait for a gradient of the guide's score.

    Args:
        shape: of a batch; where the way down is differentiated, slots are counted at each of its levels.
        slots_at: network rows of an evaluation at a level.
    """

    def __init__(
        self,
        model: Denoiser,
        sampler: Sampler,
        guide: Verifier,
        rows: Rows,
        materialiser: Materialiser,
        shape: Shape,
        slots_at: Callable[[Level], int],
    ) -> None:
        super().__init__(shape)
        self._model = model
        self._sampler = sampler
        self._guide = guide
        self._rows = rows
        self._materialiser = materialiser
        self._slots_of = slots_at
        self._name = f"{type(model).__name__}, differentiated for {type(guide).__name__},"

    def ask(self, ask: Ask) -> None:
        """Queue a particle."""
        self.add(ask.run.order, ask)

    def become_known(self, value: Value) -> None:
        """Queue what has waited for a guess; nothing does where the network is evaluated here."""
        return None

    def serve(self) -> Served:
        """Take the slopes of one batch."""
        asks = self.batch()
        with torch.inference_mode():
            self._materialiser.make([ask.state for ask in asks])
        part = self._slopes(asks)
        with torch.inference_mode():
            flat = [each.double() for each in (part.scores[:, None], part.x.flatten(1), part.gradient.flatten(1))]
            finite = torch.isfinite(part.finite + part.gradient.flatten(1).sum(1))
            owners, runs = [(ask.run, ask.level) for ask in asks], [ask.run for ask in asks]
            readbacks: list[tuple[Any, Tensor]] = [
                (Evaluated(self._name, owners), finite),
                (Guided(type(self._guide).__name__, runs), part.scores[:, None]),
                (Taken(asks, self._model.shape), torch.cat(flat, 1)),
            ]
        return Served(part.values, readbacks=readbacks)

    @abstractmethod
    def _slopes(self, asks: Sequence[Ask]) -> Part:
        """Compute the slopes of a batch."""

    def _row(self, asks: Sequence[Ask]) -> Tensor:
        return self._rows.take([ask.state.x for ask in asks])

    def _levels(self, levels: Sequence[Level]) -> Columns:
        return Columns.of(levels, 1 + len(self._model.shape), self._model.device)

    def _score(self, x0: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Return the guide's scores of images, or of what the decoder makes of latents."""
        images = x0 if self._model.decoder is None else self._model.decoder(x0)
        return rewards_of(self._guide, images, conditions)


class SlopesAtGuess(Slopes):
    """The gradient with respect to x0_hat, which is known: through the decoder and the guide alone."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*cast(tuple, parts))
        self._unknown: defaultdict[Value, list[Ask]] = defaultdict(list)

    def ask(self, ask: Ask) -> None:
        """Queue a particle, once its guess is known."""
        if ask.state.own is None:
            self._unknown[ask.state.guess].append(ask)
        else:
            self.add(ask.run.order, ask)

    def become_known(self, value: Value) -> None:
        """Queue the particles whose guess has become known."""
        for ask in self._unknown.pop(value, ()):
            self.add(ask.run.order, ask)

    def _slopes(self, asks: Sequence[Ask]) -> Part:
        n, padded = len(asks), pad(asks, self.size)
        own = self._rows.take_guess([cast(GuessRows, ask.state.own) for ask in padded])
        with torch.enable_grad():
            t = self._levels([ask.level for ask in padded])
            x0 = self._model.clipping(own, t).x0.requires_grad_()
            scores = self._score(x0, [ask.run.image.problem.condition for ask in padded])
            gradient = torch.autograd.grad(scores.sum(), x0)[0]
        return Part(self._row(asks), gradient[:n], scores[:n].detach(), own.sums()[:n])


class SlopesThroughNetwork(Slopes):
    """The gradient with respect to x_t of the score of x0_hat: one evaluation forward and backward."""

    def _slopes(self, asks: Sequence[Ask]) -> Part:
        # Evaluate with gradients.
        n, padded = len(asks), pad(asks, self.size)
        conditions = [ask.run.image.problem.condition for ask in padded]
        with torch.enable_grad():
            t = self._levels([ask.level for ask in padded])
            x = self._row(padded).requires_grad_()
            guess = self._model(x, t, conditions)
            scores = self._score(self._model.clipping(guess, t).x0, conditions)
            gradient = torch.autograd.grad(scores.sum(), x)[0]

        # Keep the guess, which the next step needs.
        with torch.inference_mode():
            own = guess.pick(slice(n)).detached()
            fresh = {id(ask.state): k for k, ask in enumerate(asks) if ask.state.own is None}
            kept = self._rows.put_guess(own.pick(index_of([*fresh.values()], x.device))) if fresh else []
            values = []
            for k, rows in zip(fresh.values(), kept, strict=True):
                state = asks[k].state
                state.own, state.guess.row = rows, rows.x0
                values.append(state.guess)
        return Part(x[:n].detach(), gradient[:n], scores[:n].detach(), own.sums(), values)


class SlopesThroughSampler(Slopes):
    """The gradient with respect to x_t of the score of the image that is sampled from there.

    Rows of the steps are kept, and each step is evaluated again on the way back (Chen et al. 2016, arXiv:1604.06174).
    """

    def batch(self) -> list[Ask]:
        """Take out the next batch; every evaluation of its ways counts."""
        filled, capacity = self.filled, self.capacity
        asks = super().batch()
        ways = [cast(Rollout, ask.rollout).route[:-1] for ask in asks]
        self.filled = filled + sum(self._slots_of(level) for way in ways for level in way)
        self.capacity = capacity + self.slots * sum(len(route) - 1 for route in _by_route(asks))
        return asks

    def _slopes(self, asks: Sequence[Ask]) -> Part:
        """Take those of one way down after the other; mostly there is one."""
        parts, places = list[tuple[Tensor, ...]](), list[int]()
        for route, at in _by_route(asks).items():
            parts.append(self._down(route, [asks[k] for k in at]))
            places += at
        order = index_of([places.index(k) for k in range(len(asks))], parts[0][0].device)
        x, slope, scores, finite = (torch.cat([part[k] for part in parts])[order] for k in range(4))
        return Part(x, slope, scores, finite)

    def _down(self, route: Route, asks: Sequence[Ask]) -> tuple[Tensor, ...]:
        """Return the fields of `Part` of asks that go down the same way."""
        # Sample the images, keeping the row before every step alone.
        n, padded = len(asks), pad(asks, self.size)
        conditions = [ask.run.image.problem.condition for ask in padded]
        rollouts = [cast(Rollout, ask.rollout) for ask in padded]
        with torch.enable_grad():
            start = x = self._row(padded).requires_grad_()
            for at, (t, s) in enumerate(pairwise(route)):
                for rollout in rollouts:
                    rollout.at = at
                z = self._noise(rollouts, t, s, x)
                x = cast(Tensor, checkpoint(self._step, x, z, t, s, conditions, use_reentrant=False))
            scores = self._score(x, conditions)
            gradient = torch.autograd.grad(scores.sum(), start)[0]

        # The images are particles of their own.
        with torch.inference_mode():
            images = x[:n].detach()
            for rollout, row in zip(rollouts, self._rows.put(images), strict=False):
                child = rollout.child
                child.state = State(rollout.run, route[-1], row, rollout.clock, child.noise_key)
        return start[:n].detach(), gradient[:n], scores[:n].detach(), images.flatten(1).sum(1)

    def _noise(self, rollouts: Sequence[Rollout], t: Level, s: Level, x: Tensor) -> Tensor | None:
        if not self._sampler.stochastic:
            return None
        return self._materialiser.step_noise(rollouts, STEP) if self._sampler.noisy(t, s) else torch.zeros_like(x)

    def _step(self, x: Tensor, z: Tensor | None, t: Level, s: Level, conditions: Sequence[Condition]) -> Tensor:
        """Step rows from t to s; the network is given as many as its batch has."""
        rows = self.slots // getattr(self._model, "fewest_slots", self._model.slots)
        more = rows - len(x)
        given = torch.cat([x, x[-1:].expand(more, *x.shape[1:])]) if more else x
        guess: Guess = self._model(given, self._levels([t] * rows), [*conditions, *[conditions[-1]] * more])
        here, there = self._levels([t] * len(x)), self._levels([s] * len(x))
        plain = self._model.clipping(guess.pick(slice(len(x))), here)
        return self._sampler.step(x, plain, here, there, z).to(x)


KINDS: Mapping[Through, type[Slopes]] = {
    "guess": SlopesAtGuess,
    "network": SlopesThroughNetwork,
    "sampler": SlopesThroughSampler,
}
"""The queues of slopes, by what the gradient goes through."""


def _by_route(asks: Sequence[Ask]) -> dict[Route, list[int]]:
    """Return the places of asks by their way down."""
    places: defaultdict[Route, list[int]] = defaultdict(list)
    for place, ask in enumerate(asks):
        places[cast(Rollout, ask.rollout).route].append(place)
    return dict(places)
