"""What a search asks for, in order, and what it is told."""

from __future__ import annotations

import math
from collections.abc import Callable

from its.particles.image import Image
from its.particles.verbs import Advance, Reward
from its.search.search import Coroutine, Search


def traced(search: Search, log: list[tuple[Advance | Reward, list]]) -> Callable[[Image], Coroutine]:
    """The body of a script that runs `search` and writes down its requests and the replies."""

    def run(image: Image) -> Coroutine:
        coroutine, reply = search.run(image), None
        while True:
            try:
                request = coroutine.send(reply)
            except StopIteration as stop:
                return stop.value
            reply = yield request
            log.append((request, reply))

    return run


def outcome_of(lab, search: Search, sampler, verifier=None, cap: float = math.inf, problem: int = 0):
    """The outcome of one search on one problem at one cap, under its sizes where there is none."""
    engine = lab.engine(sampler, None, verifier, rows=8192)
    return lab.results(engine, search, (cap,), [problem])[problem].outcomes[0]


class Scripted:
    """Rewards from a function of the number of images scored before; no two calls may share a batch."""

    absolute = True

    def __init__(self, rule: Callable[[int], float]) -> None:
        self.rule = rule
        self.calls = 0

    def reward(self, images, conditions):
        rewards = images.new_full((len(images),), self.rule(self.calls))
        self.calls += 1
        return rewards


class Always:
    """The same reward for every image."""

    absolute = True

    def __init__(self, value: float) -> None:
        self.value = value

    def reward(self, images, conditions):
        return images.new_full((len(images),), self.value)
