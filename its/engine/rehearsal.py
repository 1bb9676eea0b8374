"""One batch of each kind of work before a search spends compute: what does not fit the device is named, with what does.

A batch has its full shape whatever is in it, so that one particle is enough to see whether it fits.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import cast

from its.engine.engine import Engine
from its.engine.noise import normal
from its.engine.shortage import LARGER, MemoryShortage, shortage_of
from its.particles.image import Image
from its.particles.probe import Probe
from its.particles.verbs import Through, advance, gradient, reward
from its.search.search import Coroutine, Search
from its.types import Condition, Problem
from its.verifier.null_rewards import NullRewards


@dataclass(frozen=True)
class OneStep(Search):
    """A search that takes a step and asks for the reward of a guess: one batch of each kind.

    Attributes:
        later: ask for that of the guess after the step, which has an earlier one to be compared with.
    """

    later: bool = False

    def run(self, image: Image) -> Coroutine:
        start = image.start()
        stepped = yield advance(start, to=image.grid[1])
        yield reward(stepped if self.later else start)


class OneSlope(Search):
    """A search that asks for one gradient; a subclass says what it goes through."""

    def run(self, image: Image) -> Coroutine:
        yield gradient(image.start(), through=cast(Through, self.takes_gradients))


def check_batches(engine: Engine, condition: Condition, through: Through | None = None) -> None:
    """Serve one batch of each kind; nothing is charged or kept.

    Args:
        condition: of any problem.
        through: what gradients go through that the search takes; None if it takes none.

    Raises:
        ValueError: batches do not fit in memory; it names each with its reason, and the largest that fits of its
            halves, quarters, ...
    """
    # Halve what does not fit, until a batch of each kind does.
    tried, reasons = copy(engine), dict[str, str]()
    while (
        shortage := cast("MemoryShortage | None", shortage_of(lambda: _rehearse(tried, condition, through)))
    ) is not None:
        key, reason = shortage.key, shortage.reason
        reasons.setdefault(key, reason)
        setattr(tried, key, getattr(tried, key) // 2)
        if getattr(tried, key) < (engine.model.slots if key in ("batch", "gradient_batch") else 1):
            raise ValueError(f"{_told(engine, key, reason)}, and no smaller one does; {LARGER}")
    if reasons:
        told = "; ".join(_told(engine, key, reason) for key, reason in reasons.items())
        fitting = " ".join(f"{key}={getattr(tried, key)}" for key in reasons)
        raise ValueError(f"{told}; {fitting} {'does' if len(reasons) == 1 else 'do'}")


def _told(engine: Engine, key: str, reason: str) -> str:
    return f"{key}={getattr(engine, key)} does not fit in the memory of {engine.model.device} ({reason})"


def _rehearse(engine: Engine, condition: Condition, through: Through | None) -> None:
    """Serve one batch of each kind of an engine's work; no tape is read, and without a verifier there is one yet."""
    rehearsed = copy(engine)
    rehearsed.noise = normal
    rehearsed.verifiers = {"select": NullRewards(), **engine.verifiers}
    if rehearsed.probe is not None:
        rehearsed.probe = Probe(rehearsed.prices.grid[0])
    searches: list[Search] = [OneStep(later=rehearsed.probe is not None)]
    if through is not None:
        searches.append(type("Slope", (OneSlope,), {"takes_gradients": through})())
    for search in searches:
        rehearsed.stream(search, (math.inf,), [Problem(0, condition)]).rehearse()
