"""The engine's record of particles, of what verifiers score, of rollouts under way and of images in the making."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np

from its.engine.coroutine import SearchCoroutine
from its.engine.front import ParetoFront
from its.engine.result import Candidate
from its.engine.rows import UNMADE, GuessRows, History, Row
from its.engine.verdicts import Verdicts
from its.levels import Level
from its.particles.image import Image
from its.particles.order import Rewarded
from its.particles.particle import Particle, Recipe
from its.search.search import Search


class Value:
    """An image or a guess, which verifiers can score. Shared by all who hold it.

    Attributes:
        row: of an image, or of the network's own x0_hat; None until it has been computed.
        guessed: whether it is a guess, which verifiers see clipped.
        clock: the image's clock at which it was paid for.
        decoded: row of the decoded image; `decoding` once that is under way.
        scores: by verifier role its reward; the positions in the reply that wait for it while it is under way.
    """

    __slots__ = ("clock", "decoded", "decoding", "guessed", "row", "run", "scores")

    def __init__(self, run: SearchRun, clock: int, row: Row = UNMADE, *, guessed: bool) -> None:
        self.run = run
        self.clock = clock
        self.row = row
        self.guessed = guessed
        self.decoded = UNMADE
        self.decoding = False
        self.scores: dict[str, Rewarded | list[int]] = {}


class State:
    """A row at one level, and the network's guess there once it is paid for.

    Attributes:
        x: its row; None until the particle's recipe is carried out.
        guess: the value that a verifier scores of it: the guess x0_hat, or at a clean level the row itself.
        own: rows of the network's own guess; None until it is known.
        before: the guess that its last step started from, as verifiers score it.
        history: of that step, for the sampler's next; None if no step has led here, or the row is an image.
        guess_paid: whether the guess has been charged.
        recipe: how to make `x`; None once that is made.
        noise_key: key of the noise of its steps.
        guidance: rows of x0_hat, eps_hat and shift under a guidance; None until they are known.
        guidance_paid: whether they have been charged.
        rollouts: those that wait for the evaluation.
    """

    __slots__ = (
        "before",
        "guess",
        "guess_paid",
        "guidance",
        "guidance_paid",
        "history",
        "level",
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
    ) -> None:
        self.run = run
        self.level = level
        self.x = x
        self.guess = Value(run, clock, x if level.clean else UNMADE, guessed=not level.clean)
        self.own: GuessRows | None = None
        self.before = before
        self.history = history
        self.guess_paid = False
        self.noise_key = noise_key
        self.guidance: tuple[Row, Row, Row] | None = None
        self.guidance_paid = False
        self.recipe = recipe
        self.rollouts: tuple[Rollout, ...] = ()

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
        x, history: its row after that, and of the step that led there; see `State`.
        clock: the image's clock at which it is paid for.
        round: how often its step has been taken already (recurrence).
        guess, own: its guess while a guidance has yet to be computed.
        first_stage: of a two-stage step whose second stage is under way.
        noise: what its first step draws instead of its own; None once that is taken, or if there is none.
    """

    __slots__ = (
        "at",
        "child",
        "clock",
        "first_stage",
        "guess",
        "history",
        "noise",
        "own",
        "position",
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
        self.guess = cast(Value, None)
        self.own: GuessRows | None = None
        self.first_stage: FirstStage | None = None
        self.noise: State | None = None

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


class Contender(NamedTuple):
    """A finished image that may be the result.

    Attributes:
        start: the starting point it came straight down from: its number in the problem's sequence, or the row of a
            moved one; None if it did not.
    """

    reward: Rewarded
    value: Value
    start: int | Row | None


class Unrewarded(NamedTuple):
    """A finished image whose reward is under way, at a position of the reply; it counts at caps from `clock`."""

    position: int
    particle: Particle
    value: Value
    clock: int


@dataclass(slots=True, eq=False)
class SearchRun:
    """One run of a search on one problem: its coroutine and the reply that it waits for.

    Attributes:
        order: admission number; older runs go first.
        caps: one cap for a planned search, all for an anytime one.
        cap_index: position of its first cap among those of the stream.
        reply, pending: answers to the open request, and how many are still missing.
        unrewarded: finished images whose rewards the reply brings.
        candidates: if they are kept, all that have been rewarded, by branch key.
        front: those rewarded so far that can be the result.
        winners: once it is over, the result at every cap.
        rewards, images, starts: the winners on the host: reward, image, uint8 `[H, W, C]`, and what that came down
            from: its number in the problem's sequence, a moved point's row, or None.
        failure: why there is no result.
        verdicts: number of rewards of each role and kind.
    """

    order: int
    image: Image
    search: Search
    coroutine: SearchCoroutine
    caps: tuple[float, ...]
    cap_index: int
    reply: list[Any] = field(default_factory=list)
    pending: int = 0
    unrewarded: list[Unrewarded] = field(default_factory=list)
    candidates: dict[int, Candidate] = field(default_factory=dict)
    front: ParetoFront[Contender] = field(init=False)
    winners: list[Contender] = field(default_factory=list)
    rewards: list[Rewarded] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    starts: list[int | np.ndarray | None] = field(default_factory=list)
    over: bool = False
    failure: str | None = None
    verdicts: Verdicts = field(default_factory=Verdicts)

    def __post_init__(self) -> None:
        self.front = ParetoFront(self.caps)

    @property
    def name(self) -> str:
        """Return the search's class, for messages."""
        return type(self.search).__name__

    def expect(self, answers: int) -> None:
        """Open an empty reply of so many answers."""
        self.reply = [None] * answers
        self.pending = answers

    def enter_rewarded(self) -> None:
        """Enter into the front what the finished reply has rewarded."""
        for position, particle, value, clock in self.unrewarded:
            self.front.enter(Contender(self.reply[position], value, _start(particle.root)), clock)
        self.unrewarded = []

    def conclude(self, returned: Particle | None) -> None:
        """Choose the image at every cap: the returned one where it was affordable, else the best so far."""
        for at, cap in enumerate(self.caps):
            winner = self.front.best(at)
            if returned is not None and self.image.ledger.spent <= cap:
                value = returned.state.guess
                reward = cast(Rewarded, value.scores.get("select", math.nan))
                winner = Contender(reward, value, _start(returned.root))
            if winner is None:
                raise self.coroutine.no_image(cap)
            self.winners.append(winner)

    def release(self) -> None:
        """Drop every handle on tensors."""
        self.coroutine.close()
        self.front = ParetoFront(self.caps)
        self.unrewarded = []
        self.reply = []
        self.over = True


def _start(root: int | Particle | None) -> int | Row | None:
    """Return what a contender keeps of the starting point it came down from: no more than one row."""
    return root.state.x if isinstance(root, Particle) else root
