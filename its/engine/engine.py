"""Continuous batching over images: `Engine.run` keeps many searches going and every batch full."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from its.engine.state import Task
from its.engine.stream import Stream
from its.model.denoiser import Denoiser
from its.prices import Prices
from its.sampler.sampler import Sampler
from its.types import Problem, Search
from its.verifier.verifier import Verifier


@dataclass(frozen=True)
class Outcome:
    """One image at one cap.

    Attributes:
        image: uint8 `[H, W, C]`.
        reward: of the select verifier; NaN if the search never scored it.
        ledger: counts by column of `its.budget.COLUMNS`, of all that was spent within the cap.
    """

    image: np.ndarray
    reward: float
    ledger: Mapping[str, int]


@dataclass(frozen=True)
class Result:
    """A finished image.

    Attributes:
        outcomes: one for each cap; empty if the image failed.
        failure: what went wrong with it.
        nan_rewards: rewards that were NaN and counted as minus infinity.
    """

    problem: Problem
    outcomes: tuple[Outcome, ...]
    failure: str | None = None
    nan_rewards: int = 0


@contextmanager
def _young_garbage_only() -> Iterator[None]:
    """Keep what was there before out of Python's garbage collections.

    Walking through everything that torch and diffusers have loaded takes 0.3 s, and the many small objects of a
    search start such a walk every few seconds.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _result(tasks: list[Task]) -> Result:
    """One problem's result from its tasks: one of all caps, or one for each."""
    problem = tasks[0].image.problem
    nan_rewards = sum(task.nan_rewards for task in tasks)
    failure = next((task.failure for task in tasks if task.failure), None)
    if failure:
        return Result(problem, (), failure, nan_rewards)
    outcomes = tuple(
        Outcome(image, reward, task.image.ledger.at(cap))
        for task in tasks
        for cap, reward, image in zip(task.caps, task.rewards, task.images, strict=True)
    )
    return Result(problem, outcomes, None, nan_rewards)


class Engine:
    """Runs searches under one model, sampler and set of verifiers.

    Args:
        verifiers: by role; `select` is needed.
        seed: in [0, 2**32).
        batch: network rows of one batch, for evaluations; also rows of a decode or verify batch.
        rows: tensor rows that images in the making may hold together (default 64 batches).

    Attributes:
        served: by kind of work, rows served and row places offered.
    """

    def __init__(self, model: Denoiser, sampler: Sampler, verifiers: Mapping[str, Verifier], *, seed: int,
                 batch: int = 128, rows: int | None = None) -> None:
        if batch < model.slots:
            raise ValueError(f"batch is {batch}, and one evaluation of this model takes {model.slots} network rows; "
                             f"set batch to at least {model.slots}")
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}; it lies in [0, 2**32)")
        self.model = model
        self.sampler = sampler
        self.verifiers = verifiers
        self.seed = seed
        self.batch = batch
        self.rows = rows or 64 * batch
        self.prices = Prices(model.schedule, sampler, model.slots)
        self.served: dict[str, tuple[int, int]] = {}

    @property
    def rows_evaluated(self) -> int:
        """Network rows spent so far in this run, padding left out."""
        return self.served.get("evaluate", (0, 0))[0] * self.model.slots

    def run(self, search: Search, caps: Sequence[float], problems: Iterable[Problem]) -> Iterator[Result]:
        """Yield each problem's result as it is finished, in any order.

        Args:
            caps: ascending caps in NFE. An anytime search serves all in one run, a planned one is
                run once for each.
        """
        with _young_garbage_only():
            yield from self._run(search, tuple(caps), problems)

    def _run(self, search: Search, caps: tuple[float, ...], problems: Iterable[Problem]) -> Iterator[Result]:
        stream = Stream(self, search, caps, problems)
        parts: dict[int, list[Task]] = {}
        for task in stream.tasks():
            tasks = parts.setdefault(task.image.problem.index, [])
            tasks.append(task)
            if len(tasks) == stream.tasks_per_problem:
                del parts[task.image.problem.index]
                yield _result(sorted(tasks, key=lambda task: task.cap_index))
            self.served = stream.served
