"""The engine's record of images in the making, and of what verifiers score of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np

from its.engine.coroutine import SearchCoroutine
from its.engine.front import ParetoFront
from its.engine.result import Candidate
from its.engine.rows import UNMADE, Row
from its.engine.verdicts import Verdicts
from its.particles.image import Image
from its.particles.order import Rewarded
from its.particles.particle import Particle
from its.particles.verbs import Reply
from its.search.search import Search


class Value:
    """An image or a guess, which verifiers can score. Shared by all who hold it.

    Attributes:
        row: of an image, or of the network's own x0_hat; None until it has been computed.
        guessed: whether it is a guess, which verifiers see clipped.
        clock: the image's clock at which it was paid for.
        decoded: row of the decoded image; `decoding` once that is under way, `decode_paid` once it is charged.
        probe: the guess that it is compared with; None if there is no such level, or no step has gone past that.
        scores: by verifier role its reward; the positions in the reply that wait for it while it is under way.
        calls: by verifier role the clock from which its call counts.
    """

    __slots__ = ("calls", "clock", "decode_paid", "decoded", "decoding", "guessed", "probe", "row", "run", "scores")

    def __init__(
        self, run: SearchRun, clock: int, row: Row = UNMADE, *, guessed: bool, probe: Value | None = None
    ) -> None:
        self.run = run
        self.clock = clock
        self.row = row
        self.guessed = guessed
        self.decoded = UNMADE
        self.decoding = False
        self.decode_paid = False
        self.probe = probe
        self.scores: dict[str, Rewarded | list[int]] = {}
        self.calls: dict[str, int] = {}

    def pay_decode(self) -> bool:
        """Note that decoding it is charged; return whether it was not before."""
        paid, self.decode_paid = self.decode_paid, True
        return not paid


NONE_NOTED: Mapping[str, float] = MappingProxyType({})
"""The notes of what a search has noted nothing of."""


class Contender(NamedTuple):
    """A finished image that may be the result.

    Attributes:
        start: the starting point it came straight down from: its number in the problem's sequence, or the row of a
            moved one; None if it did not.
        notes: of its particle.
    """

    reward: Rewarded
    value: Value
    start: int | Row | None
    notes: Mapping[str, float] = NONE_NOTED


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
        notes: of the winners, by name.
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
    notes: list[Mapping[str, float]] = field(default_factory=list)
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

    def answer(self, position: int, answer: Reply) -> bool:
        """Fill one place of the reply; return whether it is complete."""
        self.reply[position] = answer
        self.pending -= 1
        return self.pending == 0

    def enter_rewarded(self) -> None:
        """Enter into the front what the finished reply has rewarded."""
        for position, particle, value, clock in self.unrewarded:
            self.front.enter(Contender(self.reply[position], value, _start(particle.root), particle.notes), clock)
        self.unrewarded = []

    def conclude(self, returned: Particle | None) -> None:
        """Choose the image at every cap: the returned one where it was affordable, else the best so far."""
        for at, cap in enumerate(self.caps):
            winner = self.front.best(at)
            if returned is not None and self.image.ledger.spent <= cap:
                value = returned.state.guess
                reward = cast(Rewarded, value.scores.get("select", math.nan))
                winner = Contender(reward, value, _start(returned.root), returned.notes)
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
