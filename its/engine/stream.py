"""One stream of problems through the engine: admission, the order of work, and what comes back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from its.budget import Ledger, OutOfBudget
from its.engine.clerk import Clerk
from its.engine.delivery import Delivery
from its.engine.evaluate import Evaluate
from its.engine.guide import Guide
from its.engine.maker import Maker
from its.engine.network import Network
from its.engine.pool import Pool
from its.engine.queue import Queue
from its.engine.readback import Readback
from its.engine.score import Decode, Scoring, Verify
from its.engine.state import State, Task, Value, Walk
from its.levels import Level
from its.particles.image import Image, Particle
from its.particles.order import Components, Rewarded
from its.search.search import Search
from its.types import Problem

if TYPE_CHECKING:
    from its.engine.engine import Engine


class Stream:
    """See `Engine.run`. A task moves on when its reply is complete; nothing else drives it."""

    def __init__(self, engine: Engine, search: Search, caps: tuple[float, ...], problems: Iterable[Problem]) -> None:
        self._engine = engine
        self._search = search
        self._caps = caps
        self._next_tasks = self._plan(problems)
        self._upcoming = next(self._next_tasks, None)
        self._readback = Readback()
        self._cached: list[Walk] = []
        self._replied: deque[Task] = deque()
        self._over: deque[Task] = deque()
        self._admitted = 0
        self._alive = 0
        self._reserved = 0
        self._set_up_queues(engine)

    def _set_up_queues(self, engine: Engine) -> None:
        model = engine.model
        self._pool = Pool(model.shape, model.dtype, model.device, engine.batch)
        maker = Maker(engine.seed, model, self._pool, engine.noise)
        scoring = Scoring(engine, self._pool)
        self._network = Network(engine, self._pool, maker, self._arrive, scoring.known)
        self._delivery = Delivery(
            self._pool, scoring.images, scoring.decode, self._readback, self._close, self._over.append, engine.keep_pool
        )
        self._kinds: dict[str, Queue] = {**scoring.kinds, **self._network.kinds}
        self._clerk = Clerk(
            engine.prices,
            engine.guidance,
            decodes=scoring.decode is not None,
            evaluate=self._network.evaluate,
            look=self._network.look,
            step=self._cached.append,
            fill=self._fill,
            score=scoring.score,
        )

    @property
    def tasks_per_problem(self) -> int:
        """An anytime search serves all caps at once; a planned one is run for each."""
        return 1 if self._search.anytime else len(self._caps)

    @property
    def served(self) -> dict[str, tuple[int, int]]:
        """Rows served and row places offered, by kind of work."""
        return {name: (queue.filled, queue.capacity) for name, queue in self._kinds.items()}

    @property
    def held(self) -> int:
        """Tensor rows in use."""
        return self._pool.held

    def tasks(self) -> Iterator[Task]:
        """Run everything; yield each task when it is over.

        A full batch first, furthest downstream; else a new image; else what comes back from the
        device; else the fullest partial batch.
        """
        while True:
            self._readback.collect(wait=False)
            self._move()
            self._delivery.send()
            while self._over:
                yield self._over.popleft()
            full = next((queue for queue in self._kinds.values() if len(queue) >= queue.rows), None)
            if full is not None:
                self._run(full)
            elif self._admit():
                continue
            elif len(self._readback):
                self._readback.collect(wait=True)
            else:
                fullest = max(self._kinds.values(), key=lambda queue: len(queue) / queue.rows)
                if not len(fullest):
                    break
                self._run(fullest)
        if self._alive:
            raise RuntimeError(
                f"{self._alive} images of {type(self._search).__name__} wait for work that is not queued"
            )

    def _run(self, queue: Queue) -> None:
        with torch.inference_mode(not isinstance(queue, Guide)):
            if isinstance(queue, Evaluate | Guide):
                evaluated, finite = queue.run()
                self._readback.send(finite, lambda flags: self._check(evaluated, flags))
            elif isinstance(queue, Verify):
                values, rewards = queue.run()
                self._readback.send(rewards, lambda numbers: self._rewarded(values, queue.role, numbers))
            elif isinstance(queue, Decode):
                queue.run()
        if self._alive == 1 and self._pool.held > self._engine.rows:
            raise RuntimeError(
                f"{type(self._search).__name__} holds {self._pool.held} tensor rows for one image, and "
                f"the limit is {self._engine.rows}; raise `rows`, or keep fewer particles"
            )

    def _plan(self, problems: Iterable[Problem]) -> Iterator[Task]:
        prices, seed = self._engine.prices, self._engine.seed
        for problem in problems:
            runs = [self._caps] if self._search.anytime else [(cap,) for cap in self._caps]
            for index, caps in enumerate(runs):
                search = self._search
                image = Image(
                    problem, seed, prices, Ledger(caps[-1]), anytime=search.anytime, shape=self._engine.model.shape
                )
                if not search.anytime and math.isfinite(caps[-1]):
                    search = search.sized_for(int(caps[-1]), image)
                yield Task(0, image, search, search.run(image), caps, index)

    def _admit(self) -> bool:
        task = self._upcoming
        if task is None:
            return False
        if self._alive and max(self._reserved, self._pool.held) + task.search.peak_rows > self._engine.rows:
            return False
        self._admitted += 1
        self._alive += 1
        self._reserved += task.search.peak_rows
        task.order = self._admitted
        self._upcoming = next(self._next_tasks, None)
        self._resume(task, None)
        return True

    def _move(self) -> None:
        """Take the steps that need no evaluation, and resume the coroutines that have their reply."""
        while self._cached or self._replied:
            while self._replied:
                task = self._replied.popleft()
                if task.candidates:
                    self._delivery.keep(task)
                    task.consider()
                reply, task.reply = task.reply, []
                self._resume(task, reply)
            if self._cached:
                walks = self._cached.copy()
                self._cached.clear()
                with torch.inference_mode():
                    self._network.steps.known(walks)

    def _resume(self, task: Task, reply: list | None) -> None:
        """Hand over a reply; charge what is asked next, or end the image."""
        if task.over:
            return
        try:
            request = task.coroutine.send(reply)
            while not self._opened(task, request):
                request = task.coroutine.throw(OutOfBudget())
        except StopIteration as stop:
            self._end(task, stop.value)
        except OutOfBudget:
            self._end(task, None)

    def _opened(self, task: Task, request: object) -> bool:
        try:
            self._clerk.open(task, request)
        except OutOfBudget:
            return False
        if not task.reply:
            self._replied.append(task)
        return True

    def _fill(self, task: Task, position: int, answer: Particle | Rewarded) -> None:
        if task.over:
            return
        task.reply[position] = answer
        task.pending -= 1
        if task.pending == 0:
            self._replied.append(task)

    def _arrive(self, walk: Walk, state: State) -> None:
        walk.child.state = state
        self._fill(walk.task, walk.position, walk.child)

    def _rewarded(self, values: list[Value], role: str, rewards: np.ndarray) -> None:
        missing = np.isnan(rewards)
        for row in missing.reshape(len(values), -1).nonzero()[0]:
            values[row].task.nan_rewards += 1
        for value, found in zip(values, np.where(missing, -np.inf, rewards).tolist(), strict=True):
            number = Components(found) if isinstance(found, list) else found
            waiting, value.scores[role] = value.scores[role], number
            for position in cast("list[int]", waiting):
                self._fill(value.task, position, number)

    def _check(self, evaluated: list[tuple[Task, Level]], finite: np.ndarray) -> None:
        """Fail the images whose network output is not finite; their neighbours go on."""
        if finite.all():
            return
        for (task, level), good in zip(evaluated, finite.tolist(), strict=True):
            if not good and not task.failure:
                problem = task.image.problem
                task.failure = (
                    f"image {problem.index} (condition {problem.condition!r}): "
                    f"{type(self._engine.model).__name__} returned NaN or Inf at {level}"
                )
                if not task.over:
                    self._close(task)

    def _end(self, task: Task, returned: Particle | None) -> None:
        task.conclude(returned)
        self._delivery.add(task)

    def _close(self, task: Task) -> None:
        """Free what a task holds; a failed one is reported at once."""
        self._delivery.drop(task)
        task.release()
        self._alive -= 1
        self._reserved -= task.search.peak_rows
        if task.failure:
            self._over.append(task)
