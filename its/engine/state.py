"""What the engine keeps about particles, tensors' values, advances under way and images in the making."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np

from its.engine.front import Candidate, Front
from its.engine.keep import Kept, Key
from its.engine.pool import UNMADE, Slot
from its.levels import Level
from its.particles.image import Image, Particle
from its.particles.order import Rewarded
from its.particles.recipes import Recipe
from its.search.search import Coroutine, Search


class Value:
    """Something a verifier can score: an image or a guess. Shared by all who hold it.

    Attributes:
        slot: its row; None until it has been computed.
        clock: the image's clock at which it was paid for.
        decoded: row of the decoded image; `decoding` once that is under way.
        scores: by verifier role its reward; the positions in the task's reply that wait for it while it is under way.
    """

    __slots__ = ("clock", "decoded", "decoding", "scores", "slot", "task")

    def __init__(self, task: Task, clock: int, slot: Slot = UNMADE) -> None:
        self.task = task
        self.clock = clock
        self.slot = slot
        self.decoded = UNMADE
        self.decoding = False
        self.scores: dict[str, Rewarded | list[int]] = {}


UNKNOWN = cast(Value, None)
"""In place of a value that is not there yet."""


class State:
    """One row at one level, and the network's guess there once it is paid for.

    Attributes:
        x: its row; None until the particle's recipe is carried out.
        value: what a verifier scores of it: the row itself at a clean level, else the guess x0_hat.
        eps: row of eps_hat; its presence means that the guess is known.
        before: the guess that its last step started from.
        paid: whether the guess has been charged.
        recipe: how to make `x`; None once that is made.
        step: path of the noise of its steps.
        look: rows of what a guidance made of it: x0_hat, eps_hat, push; None until that is known.
        looked: whether that has been charged.
        walks: advances waiting for the evaluation.
    """

    __slots__ = ("before", "eps", "level", "look", "looked", "paid", "recipe", "step", "task", "value", "walks", "x")
    round = 0

    def __init__(
        self,
        task: Task,
        level: Level,
        x: Slot,
        clock: int,
        step: int,
        before: Value | None = None,
        recipe: Recipe | None = None,
    ) -> None:
        self.task = task
        self.level = level
        self.x = x
        self.value = Value(task, clock, x if level.clean else UNMADE)
        self.eps = UNMADE
        self.before = before
        self.paid = False
        self.step = step
        self.look: tuple[Slot, Slot, Slot] | None = None
        self.looked = False
        self.recipe = recipe
        self.walks: tuple[Walk, ...] = ()

    @property
    def row(self) -> Slot:
        """The row that is evaluated."""
        return self.x

    @property
    def known(self) -> Value:
        """Its guess."""
        return self.value

    def take_walks(self) -> tuple[Walk, ...]:
        """The advances that waited for the guess."""
        walks, self.walks = self.walks, ()
        return walks


class Origin(NamedTuple):
    """Where a two-stage step began."""

    x: Slot
    guess: Value
    eps: Slot


class Walk:
    """One particle on its way down: it stands on `route[at]`.

    Attributes:
        child: the particle it becomes.
        state: where it starts; None once it has left.
        x: its row after that.
        round: how often its step has been taken already (recurrence).
        known, eps: its guess while a guidance has yet to look at it.
        origin: start of a two-stage step whose second stage is under way.
        noise: what its first step draws instead of its own; None once that is taken, or if there is none.
    """

    __slots__ = (
        "at",
        "child",
        "clock",
        "eps",
        "known",
        "noise",
        "origin",
        "position",
        "round",
        "route",
        "state",
        "task",
        "x",
    )

    def __init__(
        self, task: Task, position: int, child: Particle, route: tuple[Level, ...], state: State, clock: int
    ) -> None:
        self.task = task
        self.position = position
        self.child = child
        self.route = route
        self.state: State | None = state
        self.clock = clock
        self.at = 0
        self.x = UNMADE
        self.round = 0
        self.known: Value = UNKNOWN
        self.eps = UNMADE
        self.origin: Origin | None = None
        self.noise: State | None = None

    @property
    def step(self) -> int:
        """Path of the noise of its steps."""
        return self.child.step

    @property
    def row(self) -> Slot:
        """The row that it stands on."""
        return self.x if self.state is None else self.state.x

    @property
    def level(self) -> Level:
        """The level of that row."""
        return self.route[self.at if self.origin is None else self.at + 1]


@dataclass(slots=True, eq=False)
class Task:
    """One image in the making: a coroutine and what it waits for.

    Attributes:
        order: admission number; older images go first.
        caps: one cap for a planned search, all for an anytime one.
        cap_index: position of its first cap among the run's.
        reply, pending: answers to the open request, and how many are still missing.
        candidates: finished images whose reward the reply brings: position there, image, what it came down from,
            from which clock it counts, and key.
        pool: if it is kept, every candidate that has been considered, by its `id` path.
        front: those rewarded so far that can be the result.
        final: once it is over, the result at every cap.
        rewards, images, starts: what remains of it for the host: reward, image, uint8 `[H, W, C]`, and what that
            came down from: its number in the problem's sequence, a moved point's row, or None.
        failure: why there is none.
    """

    order: int
    image: Image
    search: Search
    coroutine: Coroutine
    caps: tuple[float, ...]
    cap_index: int
    reply: list[Any] = field(default_factory=list)
    pending: int = 0
    candidates: list[tuple[int, Value, int | Particle | None, int, Key]] = field(default_factory=list)
    pool: dict[int, Kept] = field(default_factory=dict)
    front: Front = field(init=False)
    final: list[Candidate] = field(default_factory=list)
    rewards: list[Rewarded] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    starts: list[int | np.ndarray | None] = field(default_factory=list)
    over: bool = False
    failure: str | None = None
    nan_rewards: int = 0

    def __post_init__(self) -> None:
        self.front = Front(self.caps)

    @property
    def name(self) -> str:
        """The search's class, for messages."""
        return type(self.search).__name__

    def consider(self) -> None:
        """Enter the images that the finished reply has rewarded."""
        for position, value, root, clock, _ in self.candidates:
            self.front.enter(Candidate(self.reply[position], value, _start(root)), clock)
        self.candidates = []

    def conclude(self, returned: Particle | None) -> None:
        """Choose the image at every cap: the returned one where it was affordable, else the best so far."""
        if returned is not None and not returned.level.clean:
            raise RuntimeError(f"{self.name} returned a particle at {returned.level}; it returns a clean one, or none")
        for at, cap in enumerate(self.caps):
            chosen = self.front.best(at)
            if returned is not None and self.image.ledger.spent <= cap:
                value = returned.state.value
                chosen = Candidate(cast(Rewarded, value.scores.get("select", math.nan)), value, _start(returned.root))
            if chosen is None:
                raise RuntimeError(
                    f"{self.name} ended image {self.image.problem.index} at a cap of {cap} NFE with no "
                    "image: it returned none and rewarded none that it could pay for"
                )
            self.final.append(chosen)

    def release(self) -> None:
        """Drop every handle on tensors."""
        self.coroutine.close()
        self.front = Front(self.caps)
        self.candidates = []
        self.reply = []
        self.over = True


def _start(root: int | Particle | None) -> int | Slot | None:
    """What a candidate keeps of the starting point it came down from: no more than one row."""
    return root.state.x if isinstance(root, Particle) else root
