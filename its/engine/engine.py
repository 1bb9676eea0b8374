"""Continuous batching over images: `Engine.run` keeps many searches going and every batch full."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from its.engine.keep import Kept
from its.engine.noise import Noise, normal
from its.engine.state import Task
from its.engine.stream import Stream
from its.guidance.guidance import Guidance
from its.guidance.none import NoGuidance
from its.model.denoiser import Denoiser
from its.particles.order import Rewarded
from its.particles.prices import Prices
from its.sampler.sampler import Sampler
from its.search.search import Search
from its.types import Problem
from its.verifier.verifier import Verifier

NO_GUIDANCE = NoGuidance()


@dataclass(frozen=True)
class Outcome:
    """One image at one cap.

    Attributes:
        image: uint8 `[H, W, C]`.
        reward: of the select verifier, by member if that is relative; NaN if the search never scored it.
        ledger: counts by column of `its.budget.COLUMNS`, of all that was spent within the cap.
        start: under a deterministic sampler, the starting point that the image came straight down from: its number in
            the problem's sequence, or a moved one's row `[*shape]`; else None.
    """

    image: np.ndarray
    reward: Rewarded
    ledger: Mapping[str, int]
    start: int | np.ndarray | None = None


@dataclass(frozen=True)
class Result:
    """A finished image.

    Attributes:
        outcomes: one for each cap; empty if the image failed.
        failure: what went wrong with it.
        nan_rewards: rewards that were NaN, of members too, and counted as minus infinity.
        pool: with `keep_pool` every candidate, in the order in which the search rewarded them; those of a planned
            search one cap after the other.
    """

    problem: Problem
    outcomes: tuple[Outcome, ...]
    failure: str | None = None
    nan_rewards: int = 0
    pool: tuple[Kept, ...] = ()


@contextmanager
def _rare_garbage_collections() -> Iterator[None]:
    """Let Python's garbage collector look rarely, and not at what was there before.

    A search makes many small objects, and few of them in cycles. At Python's own threshold of 700 looking at them took
    a sixth of the time that the engine spends in Python, and walking through all that torch and diffusers have loaded
    0.3 s every few seconds.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _result(tasks: list[Task]) -> Result:
    """One problem's result from its tasks: one of all caps, or one for each."""
    problem = tasks[0].image.problem
    nan_rewards = sum(task.nan_rewards for task in tasks)
    failure = next((task.failure for task in tasks if task.failure), None)
    if failure:
        return Result(problem, (), failure, nan_rewards)
    outcomes = tuple(
        Outcome(image, reward, task.image.ledger.at(cap), start)
        for task in tasks
        for cap, reward, image, start in zip(task.caps, task.rewards, task.images, task.starts, strict=True)
    )
    return Result(problem, outcomes, None, nan_rewards, tuple(one for task in tasks for one in task.pool.values()))


def check_guidance(guidance: Guidance, model: Denoiser, sampler: Sampler, verifiers: Mapping[str, Verifier]) -> None:
    """Refuse what guidance cannot wrap, and a guide that does not suit it.

    Raises:
        ValueError: the message names the rule and the remedy.
    """
    name = type(guidance).__name__
    if (guidance.needs != "nothing" or guidance.rounds > 1) and sampler.second_order:
        raise ValueError(
            f"{name} wraps steps of one stage, and {type(sampler).__name__} takes two; "
            "set sampler=ddim or sampler=euler"
        )
    if guidance.needs == "nothing":
        return
    if "guide" not in verifiers:
        raise ValueError(f"{name} takes gradients of a guide, and there is none; set verifier@guide=...")
    if model.decoder is not None:
        raise ValueError(
            f"{name} is for pixel models: gradients through a decoder are not counted yet; set guidance=none"
        )
    aware = getattr(verifiers["guide"], "noise_aware", False)
    if aware != guidance.noise_aware:
        raise ValueError(
            f"{name} scores {'noisy rows' if guidance.noise_aware else 'images'}, and the guide "
            f"{type(verifiers['guide']).__name__} scores {'noisy rows' if aware else 'images'}; "
            "choose another verifier@guide"
        )


class Engine:
    """Runs searches under one model, sampler and set of verifiers.

    Args:
        verifiers: by role; `select` is needed.
        seed: in [0, 2**32).
        guidance: wraps every step; the verifier of role `guide` gives its gradients.
        batch: network rows of one batch, for evaluations; also rows of a decode or verify batch.
        gradient_batch: network rows of one batch with gradients (default half a batch).
        rows: tensor rows that images in the making may hold together (default 96 batches).
        noise: where draws come from, with the signature of `its.engine.noise.normal`; see docs/replay.md.
        keep_pool: bring every candidate to the host, not only the images chosen.

    Attributes:
        served: by kind of work, rows served and row places offered.
    """

    def __init__(
        self,
        model: Denoiser,
        sampler: Sampler,
        verifiers: Mapping[str, Verifier],
        *,
        seed: int,
        guidance: Guidance = NO_GUIDANCE,
        gradient_batch: int | None = None,
        batch: int = 128,
        rows: int | None = None,
        keep_pool: bool = False,
        noise: Noise = normal,
    ) -> None:
        if batch < model.slots:
            raise ValueError(
                f"batch is {batch}, and one evaluation of this model takes {model.slots} network rows; "
                f"set batch to at least {model.slots}"
            )
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}; it lies in [0, 2**32)")
        check_guidance(guidance, model, sampler, verifiers)
        self.model = model
        self.sampler = sampler
        self.guidance = guidance
        self.gradient_batch = gradient_batch or max(batch // 2, model.slots)
        self.verifiers = verifiers
        self.seed = seed
        self.batch = batch
        self.rows = rows or 96 * batch
        self.noise = noise
        self.keep_pool = keep_pool
        self.prices = Prices(model.path, sampler, model.slots, guidance.rounds)
        self.served: dict[str, tuple[int, int]] = {}

    @property
    def rows_evaluated(self) -> int:
        """Network rows spent so far in this run, padding left out."""
        kinds = ("evaluate", "gradient") if self.guidance.needs == "network" else ("evaluate",)
        return sum(self.served.get(kind, (0, 0))[0] for kind in kinds) * self.model.slots

    def run(self, search: Search, caps: Sequence[float], problems: Iterable[Problem]) -> Iterator[Result]:
        """Yield each problem's result as it is finished, in any order.

        Args:
            caps: ascending caps in NFE. An anytime search serves all in one run, a planned one is
                run once for each.
        """
        with _rare_garbage_collections():
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
