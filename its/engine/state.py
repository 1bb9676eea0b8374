"""The engine's record of particles, and of rollouts under way."""

from __future__ import annotations

from typing import NamedTuple, cast

from its.engine.log_ratio import LogRatio
from its.engine.rows import UNMADE, GuessRows, History, Row
from its.engine.search_run import SearchRun, Value
from its.levels import Level
from its.particles.particle import Particle, Recipe


class State:
    """A row at one level, and the network's guess there once it is paid for.

    Attributes:
        x: its row; None until the particle's recipe is carried out.
        guess: the value that a verifier scores of it: the guess x0_hat, or at a clean level the row itself. It holds
            the probe, where the row has passed that level.
        own: rows of the network's own guess; None until it is known.
        before: the guess that its last step started from, as verifiers score it.
        history: of that step, for the sampler's next; None if no step has led here, or the row is an image.
        guess_paid: whether the guess has been charged.
        recipe: how to make `x`; None once that is made.
        noise_key: key of the noise of its steps.
        guidance: rows of x0_hat, eps_hat and shift under a guidance; None until they are known.
        guidance_paid: whether they have been charged.
        rollouts: those that wait for the evaluation.
        log_ratio: of the twisted steps that have led here; None if none have.
    """

    __slots__ = (
        "before",
        "guess",
        "guess_paid",
        "guidance",
        "guidance_paid",
        "history",
        "level",
        "log_ratio",
        "noise_key",
        "own",
        "recipe",
        "rollouts",
        "run",
        "x",
    )
    round = 0

    def __init__(
        self,
        run: SearchRun,
        level: Level,
        x: Row,
        clock: int,
        noise_key: int,
        before: Value | None = None,
        recipe: Recipe | None = None,
        history: History | None = None,
        probe: Value | None = None,
        log_ratio: LogRatio | None = None,
    ) -> None:
        self.run = run
        self.level = level
        self.x = x
        self.guess = Value(run, clock, x if level.clean else UNMADE, guessed=not level.clean, probe=probe)
        self.own: GuessRows | None = None
        self.before = before
        self.history = history
        self.guess_paid = False
        self.noise_key = noise_key
        self.guidance: tuple[Row, Row, Row] | None = None
        self.guidance_paid = False
        self.recipe = recipe
        self.rollouts: tuple[Rollout, ...] = ()
        self.log_ratio = log_ratio

    @property
    def row(self) -> Row:
        """Return the row that is evaluated."""
        return self.x

    def pay(self, clock: int) -> bool:
        """Note that the guess is paid for at `clock`; return whether it was not before."""
        if self.guess_paid:
            return False
        self.guess_paid = True
        self.guess.clock = clock
        return True

    def release_rollouts(self) -> tuple[Rollout, ...]:
        """Return the rollouts that waited for the evaluation, and forget them."""
        rollouts, self.rollouts = self.rollouts, ()
        return rollouts


class FirstStage(NamedTuple):
    """The row at which a two-stage step began, and the guess there."""

    x: Row
    guess: Value
    own: GuessRows


class Rollout:
    """One particle on its way down a route of levels: it stands on `route[at]`.

    Attributes:
        position: of its answer in the reply.
        child: the particle it becomes.
        state: where it starts; None once it has left.
        x, history, probe, log_ratio: its row after that, and of the steps that led there; see `State`.
        clock: the image's clock at which it is paid for.
        round: how often its step has been taken already (recurrence).
        guess, own: its guess while a guidance has yet to be computed.
        first_stage: of a two-stage step whose second stage is under way.
        noise: what its first step draws instead of its own; None once that is taken, or if there is none.
        deterministic: whether its steps are taken without noise.
    """

    __slots__ = (
        "at",
        "child",
        "clock",
        "deterministic",
        "first_stage",
        "guess",
        "history",
        "log_ratio",
        "noise",
        "own",
        "position",
        "probe",
        "round",
        "route",
        "run",
        "state",
        "x",
    )

    def __init__(
        self, run: SearchRun, position: int, child: Particle, route: tuple[Level, ...], state: State, clock: int
    ) -> None:
        self.run = run
        self.position = position
        self.child = child
        self.route = route
        self.state: State | None = state
        self.clock = clock
        self.at = 0
        self.x = UNMADE
        self.round = 0
        self.history = state.history
        self.probe = state.guess.probe
        self.log_ratio = state.log_ratio
        self.guess = cast(Value, None)
        self.own: GuessRows | None = None
        self.first_stage: FirstStage | None = None
        self.noise: State | None = None
        self.deterministic = False

    @property
    def noise_key(self) -> int:
        """Return the key of the noise of its steps."""
        return self.child.noise_key

    @property
    def row(self) -> Row:
        """Return the row that it stands on."""
        return self.x if self.state is None else self.state.x

    @property
    def level(self) -> Level:
        """Return the level of that row."""
        return self.route[self.at if self.first_stage is None else self.at + 1]
