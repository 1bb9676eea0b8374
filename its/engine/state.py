"""What the engine keeps about particles, tensors' values, advances under way and images in the making."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from its.engine.pool import UNMADE, Slot
from its.image import Image, Particle, Recipe
from its.types import Coroutine, Level, Search


class Value:
    """Something a verifier can score: an image or a guess. Shared by all who hold it.

    Attributes:
        slot: its row; None until it has been computed.
        clock: the image's clock at which it was paid for.
        decoded: row of the decoded image; `decoding` once that is under way.
        rewards: by verifier role.
        asked: roles whose call has been charged.
        unqueued: those of them that wait for the value to be computed or decoded.
        waiting: who waits for a reward: (position in the task's reply, role).
    """

    __slots__ = ("asked", "clock", "decoded", "decoding", "rewards", "slot", "task", "unqueued", "waiting")

    def __init__(self, task: Task, clock: int, slot: Slot = UNMADE) -> None:
        self.task = task
        self.clock = clock
        self.slot = slot
        self.decoded = UNMADE
        self.decoding = False
        self.rewards: dict[str, float] = {}
        self.asked: set[str] = set()
        self.unqueued: list[str] = []
        self.waiting: list[tuple[int, str]] = []


class State:
    """One row at one level, and the network's guess there once it is paid for.

    Attributes:
        x: its row; None until the particle's recipe is carried out.
        guess: x0_hat.
        eps: row of eps_hat; its presence means that the guess is known.
        before: the guess that its last step started from.
        paid: whether the guess has been charged.
        recipe: how to make `x`; None once that is made.
        walks: advances waiting for the evaluation.
    """

    __slots__ = ("_value", "before", "eps", "guess", "level", "paid", "recipe", "task", "walks", "x")

    def __init__(self, task: Task, level: Level, x: Slot, clock: int, before: Value | None = None,
                 recipe: Recipe | None = None) -> None:
        self.task = task
        self.level = level
        self.x = x
        self.guess = Value(task, clock)
        self.eps = UNMADE
        self.before = before
        self.paid = False
        self.recipe = recipe
        self.walks: list[Walk] = []
        self._value: Value | None = None

    @property
    def value(self) -> Value:
        """The row as an image; its level is clean."""
        if self._value is None:
            self._value = Value(self.task, self.guess.clock, self.x)
        return self._value


@dataclass(slots=True)
class Walk:
    """One particle on its way down: it stands at `state`, on `route[at]`.

    Attributes:
        child: the particle it becomes.
        origin: state at the start of a two-stage step whose second stage is under way.
        noise: what its first step draws instead of its own; None once that is taken, or if there is none.
    """

    task: Task
    position: int
    child: Particle
    route: tuple[Level, ...]
    state: State
    clock: int
    at: int = 0
    origin: State | None = None
    noise: State | None = None


@dataclass(slots=True, eq=False)
class Task:
    """One image in the making: a coroutine and what it waits for.

    Attributes:
        order: admission number; older images go first.
        caps: one cap for a planned search, all for an anytime one.
        cap_index: position of its first cap among the run's.
        reply, pending: answers to the open request, and how many are still missing.
        candidates: finished images whose reward the reply brings: position there, image, and from which clock.
        considered: how many candidates there have been.
        best: by cap, the best candidate counting within it and not within the cap before: its reward and
            minus its turn, so that ties go to the earlier one; and its image.
        final: once it is over, the reward and value at every cap.
        rewards, images: what remains of it for the host: reward, and image, uint8 `[H, W, C]`.
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
    candidates: list[tuple[int, Value, int]] = field(default_factory=list)
    considered: int = 0
    best: list[tuple[tuple[float, int], Value] | None] = field(init=False)
    final: list[tuple[float, Value]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    over: bool = False
    failure: str | None = None
    nan_rewards: int = 0

    def __post_init__(self) -> None:
        self.best = [None] * len(self.caps)

    @property
    def name(self) -> str:
        """The search's class, for messages."""
        return type(self.search).__name__

    def consider(self) -> None:
        """Enter the images that the finished reply has rewarded; ties go to the earlier one."""
        for position, value, clock in self.candidates:
            rank = (self.reply[position], -self.considered)
            self.considered += 1
            at = bisect_left(self.caps, clock)
            if at < len(self.caps):
                held = self.best[at]
                if held is None or rank > held[0]:
                    self.best[at] = (rank, value)
        self.candidates = []

    def conclude(self, returned: Particle | None) -> None:
        """Choose the image at every cap: the returned one where it was affordable, else the best so far."""
        if returned is not None and not returned.level.clean:
            raise RuntimeError(f"{self.name} returned a particle at {returned.level}; it returns a clean one, or none")
        best: tuple[tuple[float, int], Value] | None = None
        for cap, found in zip(self.caps, self.best, strict=True):
            if found is not None and (best is None or found[0] > best[0]):
                best = found
            chosen = best and (best[0][0], best[1])
            if returned is not None and self.image.ledger.spent <= cap:
                value = returned.state.value
                chosen = (value.rewards.get("select", math.nan), value)
            if chosen is None:
                raise RuntimeError(f"{self.name} ended image {self.image.problem.index} at a cap of {cap} NFE with no "
                                   "image: it returned none and rewarded none that it could pay for")
            self.final.append(chosen)

    def release(self) -> None:
        """Drop every handle on tensors."""
        self.coroutine.close()
        self.best = []
        self.candidates = []
        self.reply = []
        self.over = True
