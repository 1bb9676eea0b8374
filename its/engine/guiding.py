"""Three ways to guide steps: not at all, at the guess, or through the network.

Each owns its queues, and charges the calls of the guide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor

from its.engine.evaluate import Evaluate
from its.engine.guide import Guide, GuideAtGuess, GuideThroughNetwork, decodes
from its.engine.materialise import Materialiser
from its.engine.queue import Queue, Shape, network_shape
from its.engine.rows import GuessRows, Rows
from its.engine.state import Rollout, State
from its.engine.steps import Batch, Stepped, Steps
from its.guidance.guidance import Guidance, Needs
from its.levels import Columns, Guess, Level
from its.model.denoiser import Clipping, Denoiser
from its.particles.prices import Prices
from its.particles.probe import Probe
from its.sampler.sampler import Sampler
from its.verifier.verifier import Verifier, probe_of

PROPOSED = (
    "used image.propose, and this guidance goes through the network, whose own guess it is about; set guidance=none, "
    "or a guidance of the guess alone, as mpgd"
)

DECODED = ("decoder_calls", "decoder_backward")
"""Columns of the ledger in which a call of a guide counts that sees decoded images."""


@dataclass(frozen=True)
class Parts:
    """The parts that every way to guide is built from.

    Attributes:
        guide: the verifier whose gradients a guidance takes; None without one.
        probe: the level whose guess rows keep; None without one.
        batch, gradient_batch: network rows of one batch, without and with gradients.
    """

    model: Denoiser
    sampler: Sampler
    guidance: Guidance
    guide: Verifier | None
    prices: Prices
    rows: Rows
    materialiser: Materialiser
    probe: Probe | None
    batch: int
    gradient_batch: int

    def network_shape(self, batch: int) -> Shape:
        """Return the shape of batches of the network; see `network_shape`."""
        return network_shape(batch, self.model, self.prices)

    def steps(self, clipping: Clipping) -> Steps:
        """Build the sampler's steps; `clipping` is that of the guess that they start from."""
        return Steps(self.sampler, self.guidance, self.rows, self.materialiser, clipping, self.probe)


class Guiding(ABC):
    """A way to guide: what is evaluated before a step, and what the step starts from.

    Attributes:
        network: name of the queue in which the network is evaluated.
        queues: by name, furthest downstream first.
    """

    network: ClassVar[str] = "evaluate"
    queues: Mapping[str, Queue]

    @abstractmethod
    def begin(self, rollout: Rollout, clock: int) -> bool:
        """Charge a rollout's calls of the guide at `clock`, and queue what its first step needs.

        Returns:
            Whether it needs nothing, and can be stepped at once.
        """

    @abstractmethod
    def go_on(self, rollout: Rollout) -> None:
        """Queue a rollout that stands at its next level."""

    @abstractmethod
    def ask_guess(self, state: State, clock: int) -> None:
        """Queue a state's evaluation at `clock`, unless that has been paid for."""

    def check_proposals(self) -> None:
        """Refuse guesses in the place of the network's, where every step is guided through the network.

        Raises:
            ValueError: naming the rule.
        """
        return None

    @abstractmethod
    def step_known(self, rollouts: Sequence[Rollout]) -> Stepped:
        """Step rollouts whose first step needs nothing that is not known."""


class Unguided(Guiding):
    """Rows step from the network's own guess, clipped as the model says."""

    def __init__(self, parts: Parts) -> None:
        self._rows = parts.rows
        self._steps = parts.steps(parts.model.clipping)
        shape = parts.network_shape(parts.batch)
        self._evaluate = Evaluate(parts.model, parts.rows, parts.materialiser, shape, self._steps)
        self.queues = {"evaluate": self._evaluate}

    def begin(self, rollout: Rollout, clock: int) -> bool:
        state = cast(State, rollout.state)
        if state.own is not None:
            return True
        state.rollouts += (rollout,)
        self.ask_guess(state, rollout.clock)
        return False

    def go_on(self, rollout: Rollout) -> None:
        self._evaluate.add(rollout.run.order, rollout)

    def ask_guess(self, state: State, clock: int) -> None:
        if state.pay(clock):
            self._evaluate.add(state.run.order, state)

    def step_known(self, rollouts: Sequence[Rollout]) -> Stepped:
        states = [cast(State, rollout.state) for rollout in rollouts]
        x, t, own = _gathered(self._rows, states)
        return self._steps.step(rollouts, Batch(x, t, own, own))


class Guided(Guiding):
    """Rows step from a guidance's output, as it is."""

    def __init__(self, parts: Parts, queue: type[Guide], shape: Shape) -> None:
        self._prices = parts.prices
        self._calls = parts.guidance.calls
        self._called = ("guide_calls", *(DECODED if decodes(parts.guidance, parts.model) else ()))
        self._rows = parts.rows
        self._steps = parts.steps(Clipping())
        self._guide = queue(
            parts.guidance,
            cast(Verifier, parts.guide),
            parts.model,
            parts.rows,
            parts.materialiser,
            self._steps,
            shape,
            parts.prices.grid,
        )

    def begin(self, rollout: Rollout, clock: int) -> bool:
        # Every round of every step is guided; the first state's guidance serves all who start there.
        state = cast(State, rollout.state)
        levels = [*rollout.route[:-1]] * self._prices.rounds
        self._charge(state, clock, levels[1:] if state.guidance_paid else levels)
        if state.guidance is not None:
            return True
        state.rollouts += (rollout,)
        if not state.guidance_paid:
            self._ask_guidance(state, rollout.clock)
        return False

    def step_known(self, rollouts: Sequence[Rollout]) -> Stepped:
        states = [cast(State, rollout.state) for rollout in rollouts]
        x, t, own = _gathered(self._rows, states)
        parts = zip(*(cast(tuple, state.guidance) for state in states), strict=True)
        x0, eps, shift = (self._rows.take(part) for part in parts)
        return self._steps.step(rollouts, Batch(x, t, Guess(x0, eps), own, shift))

    def _charge(self, state: State, clock: int, levels: Sequence[Level]) -> None:
        """Record the calls of rows that are guided at these levels at `clock`."""
        for column in self._called:
            state.run.image.ledger.call(column, clock, len(levels) * self._calls)

    @abstractmethod
    def _ask_guidance(self, state: State, clock: int) -> None:
        """Queue what a step from the state needs, and its evaluation at `clock` unless that has been paid for."""


class GuidedAtGuess(Guided):
    """A guidance at the guess: rows are evaluated plainly, and those that step are guided in a second batch."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, GuideAtGuess, Shape(parts.gradient_batch // parts.model.slots))
        shape = parts.network_shape(parts.batch)
        self._evaluate = Evaluate(parts.model, parts.rows, parts.materialiser, shape, cast(GuideAtGuess, self._guide))
        self.queues = {"gradient": self._guide, "evaluate": self._evaluate}

    def go_on(self, rollout: Rollout) -> None:
        self._evaluate.add(rollout.run.order, rollout)

    def ask_guess(self, state: State, clock: int) -> None:
        if state.pay(clock):
            self._evaluate.add(state.run.order, state)

    def _ask_guidance(self, state: State, clock: int) -> None:
        state.guidance_paid = True
        self.ask_guess(state, clock)
        if state.own is not None:
            self._guide.add(state.run.order, state)


class GuidedThroughNetwork(Guided):
    """A guidance through the network: every row is evaluated with gradients, so that a scored one can step at once."""

    network = "gradient"

    def check_proposals(self) -> None:
        raise ValueError(PROPOSED)

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts, GuideThroughNetwork, parts.network_shape(parts.gradient_batch))
        self.queues = {"gradient": self._guide}

    def go_on(self, rollout: Rollout) -> None:
        self._guide.add(rollout.run.order, rollout)

    def ask_guess(self, state: State, clock: int) -> None:
        if not state.guess_paid:
            self._charge(state, clock, [state.level])
            self._ask_guidance(state, clock)

    def _ask_guidance(self, state: State, clock: int) -> None:
        state.guidance_paid = True
        state.pay(clock)
        self._guide.add(state.run.order, state)

    def _charge(self, state: State, clock: int, levels: Sequence[Level]) -> None:
        super()._charge(state, clock, levels)
        state.run.image.ledger.call("nfe_backward", clock, sum(map(self._prices.evaluation, levels)))


def _gathered(rows: Rows, states: Sequence[State]) -> tuple[Tensor, Columns, Guess]:
    """Return x, levels and the network's own guess of evaluated states."""
    x = rows.take([state.x for state in states])
    t = Columns.of([state.level for state in states], x.ndim, x.device)
    return x, t, rows.take_guess([cast(GuessRows, state.own) for state in states])


WAYS: Mapping[Needs, type[Unguided | GuidedAtGuess | GuidedThroughNetwork]] = {
    "nothing": Unguided,
    "guess": GuidedAtGuess,
    "network": GuidedThroughNetwork,
}
"""The ways to guide, by the gradients that a guidance needs."""


def check_guidance(guidance: Guidance, model: Denoiser, sampler: Sampler, verifiers: Mapping[str, Verifier]) -> None:
    """Refuse what a guidance cannot wrap, and a guide that does not suit it.

    Raises:
        ValueError: the message names the rule and the remedy.
    """
    # The sampler.
    name = type(guidance).__name__
    if (guidance.needs != "nothing" or guidance.rounds > 1) and sampler.second_order:
        raise ValueError(
            f"{name} wraps steps of one stage, and {type(sampler).__name__} takes two; "
            "set sampler=ddim or sampler=euler"
        )
    if guidance.needs == "nothing":
        return

    # The noisiest level.
    if guidance.divides_by(sampler.grid(model.path)[0]) == 0.0:
        raise ValueError(
            f"{name} divides by alpha, which is 0 where this sampling begins; set sampler.spacing=leading, or list "
            "times from a less noisy one on"
        )

    # The guide.
    if "guide" not in verifiers:
        raise ValueError(f"{name} takes gradients of a guide, and there is none; set verifier@guide=...")
    if probe_of(verifiers["guide"]) is not None:
        raise ValueError(
            f"the guide {type(verifiers['guide']).__name__} compares an image with an earlier guess of it, and a guess "
            "on the way has none: it gives no gradients; choose another verifier@guide"
        )
    aware = getattr(verifiers["guide"], "noise_aware", False)
    if aware != guidance.noise_aware:
        raise ValueError(
            f"{name} scores {'noisy rows' if guidance.noise_aware else 'images'}, and the guide "
            f"{type(verifiers['guide']).__name__} scores {'noisy rows' if aware else 'images'}; "
            "choose another verifier@guide"
        )
