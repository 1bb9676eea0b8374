"""One stream of search runs through the engine: admission, the order of work, and what comes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch

from its.budget import OutOfBudget
from its.engine.admission import Admission
from its.engine.delivery import Delivery
from its.engine.global_random import WATCHED, GlobalRandomWatch
from its.engine.guiding import Guiding
from its.engine.look import Seen, Sights
from its.engine.queue import Evaluated, Guided, Queue, Scored
from its.engine.readback import Readback
from its.engine.requests import Opened, Requests
from its.engine.rows import Rows
from its.engine.score import Scoring
from its.engine.search_run import SearchRun, Value
from its.engine.shortage import MemoryShortage, is_shortage
from its.engine.slopes import SLOPES, Slopes, Taken
from its.engine.state import Rollout
from its.engine.verdicts import Jury
from its.particles.order import Components
from its.particles.particle import Particle
from its.particles.verbs import Reply, Request


class Stream:
    """Runs searches until all are over. A run moves on when its reply is complete; nothing else drives it.

    Args:
        runs: taken one by one, as there is room for them.
        rows: of states.
        slopes: the queue of gradients that the search takes, by name; empty if it takes none.
    """

    def __init__(
        self,
        runs: Iterator[SearchRun],
        rows: Rows,
        guiding: Guiding,
        scoring: Scoring,
        requests: Requests,
        sights: Sights,
        slopes: Mapping[str, Slopes],
        delivery: Delivery,
        readback: Readback,
        admission: Admission,
        watch: GlobalRandomWatch,
    ) -> None:
        self._runs = runs
        self._rows = rows
        self._guiding = guiding
        self._scoring = scoring
        self._requests = requests
        self._sights = sights
        self._waiting_for_values: tuple[Any, ...] = (scoring, sights, *slopes.values())
        self._delivery = delivery
        self._readback = readback
        self._admission = admission
        self._watch = watch
        self._queues: dict[str, Queue] = {**scoring.queues, **slopes, **guiding.queues}
        self._upcoming = next(runs, None)
        self._admitted = 0
        self._alive: set[SearchRun] = set()
        self._ready: list[Rollout] = []
        self._replied: deque[SearchRun] = deque()
        self._over: deque[SearchRun] = deque()
        self._jury = Jury()

    @property
    def served(self) -> dict[str, tuple[int, int]]:
        """Return what was served and how many places were offered, by kind of work: network rows, or images."""
        return {name: (queue.filled, queue.capacity) for name, queue in self._queues.items()}

    @property
    def rows_evaluated(self) -> int:
        """Return the network rows served, padding left out."""
        return sum(self.served.get(kind, (0, 0))[0] for kind in (self._guiding.network, SLOPES["network"]))

    @property
    def rows_in_use(self) -> int:
        """Return the tensor rows in use."""
        return self._rows.in_use

    def run(self) -> Iterator[SearchRun]:
        """Run everything; yield each search run when it is over.

        A full batch first, furthest downstream; else a new run; else what comes back from the device; else the
        fullest partial batch.
        """
        while True:
            # Act on what has come back, and deliver.
            self._collect(wait=False)
            self._move()
            self._sights.send()
            for run in self._delivery.send():
                self._close(run)
            while self._over:
                yield self._over.popleft()

            # Choose the next work.
            full = next((queue for queue in self._queues.values() if queue.load >= 1), None)
            if full is not None:
                self._serve(full)
            elif self._admit():
                pass
            elif len(self._readback):
                self._collect(wait=True)
                continue
            else:
                fullest = max(self._queues.values(), key=lambda queue: queue.load)
                if not len(fullest):
                    break
                self._serve(fullest)
            self._observe_rows()
        if self._alive:
            name = next(iter(self._alive)).name
            raise RuntimeError(f"{len(self._alive)} images of {name} wait for work that is not queued")

    def rehearse(self) -> None:
        """Serve one batch after the other for the first run, until it waits for numbers from the device.

        They are not read: what a rehearsal comes to counts nowhere.
        """
        self._admit()
        self._move()
        while (queue := next((each for each in self._queues.values() if len(each)), None)) is not None:
            self._serve(queue)
            self._move()

    def _admit(self) -> bool:
        """Begin the next run, if there is room for it."""
        run = self._upcoming
        if run is None or not self._admission.admits(alive := len(self._alive), self._admitted - alive):
            return False
        self._admitted += 1
        run.order = self._admitted
        self._alive.add(run)
        self._upcoming = next(self._runs, None)
        if run.order <= WATCHED:
            self._watch.enter(run)
        self._resume(run, None)
        self._watch.leave()
        return True

    def _serve(self, queue: Queue) -> None:
        """Run one batch, and act on what it has brought about; MemoryShortage says that it does not fit the device."""
        try:
            served = queue.serve()
        except Exception as error:
            if is_shortage(error):
                kind = next(name for name, each in self._queues.items() if each is queue)
                raise MemoryShortage(kind, error) from error
            raise
        for subject, numbers in served.readbacks:
            self._readback.send(subject, numbers)
        for value in served.values:
            for part in self._waiting_for_values:
                part.become_known(value)
        self._follow_up(served.arrivals, served.onward)

    def _observe_rows(self) -> None:
        """Let the admission learn what runs hold."""
        rows, images = self._rows.in_use, self._scoring.images_in_use
        waiting = sum(map(len, self._guiding.queues.values()))
        self._admission.observe(len(self._alive), rows, waiting, images + self._scoring.undecoded)
        if len(self._alive) == 1:
            self._admission.check(next(iter(self._alive)), rows, images)

    def _move(self) -> None:
        """Resume the coroutines that have their reply, and take the steps that need no evaluation."""
        while self._ready or self._replied:
            while self._replied:
                run = self._replied.popleft()
                if run.unrewarded:
                    self._delivery.keep_candidates(run)
                    run.enter_rewarded()
                reply, run.reply = run.reply, []
                self._watch.enter(run)
                self._resume(run, reply)
            self._watch.leave()
            self._requests.fill()
            if rollouts := self._ready[: self._rows.at_once]:
                del self._ready[: len(rollouts)]
                with torch.inference_mode():
                    stepped = self._guiding.step_known(rollouts)
                self._follow_up(*stepped)

    def _follow_up(self, arrivals: Sequence[Rollout], onward: Sequence[Rollout]) -> None:
        """Answer with the particles that have arrived, and queue the rollouts that go on."""
        for rollout in arrivals:
            self._answer(rollout.run, rollout.position, rollout.child)
        for rollout in onward:
            if not rollout.run.failure:
                self._guiding.go_on(rollout)

    def _resume(self, run: SearchRun, reply: list | None) -> None:
        """Hand over a reply; charge what is asked next, or end the run."""
        if run.over:
            return
        try:
            request = run.coroutine.send(reply)
            while (opened := self._open(run, request)) is None:
                request = run.coroutine.send(None, refused=True)
        except StopIteration as stop:
            self._end(run, stop.value)
        except OutOfBudget:
            self._end(run, None)
        else:
            self._begin(run, opened)

    def _open(self, run: SearchRun, request: Request) -> Opened | None:
        """Charge a request and queue its work; return None if it cannot be paid for."""
        try:
            return self._requests.open(run, request)
        except OutOfBudget:
            return None
        except (TypeError, ValueError) as error:
            raise run.coroutine.mistake(str(error)) from error

    def _begin(self, run: SearchRun, opened: Opened) -> None:
        """Act on what a request has at once."""
        if not run.reply:
            self._replied.append(run)
        self._ready += opened.ready
        for position, answer in opened.answers:
            self._answer(run, position, answer)

    def _answer(self, run: SearchRun, position: int, answer: Reply) -> None:
        """Fill one place of a run's reply; a complete reply is handed over in the next `_move`."""
        if not run.over and run.answer(position, answer):
            self._replied.append(run)

    def _collect(self, *, wait: bool) -> None:
        """Act on what has come back from the device."""
        for subject, numbers in self._readback.collect(wait=wait):
            if isinstance(subject, Evaluated):
                self._check_finite(subject, numbers)
            elif isinstance(subject, Scored):
                self._answer_scores(subject, numbers)
            elif isinstance(subject, Guided):
                self._jury.note("guide", subject.verifier, subject.runs, numbers)
                if subject.guesses:
                    self._reward(subject.guesses, "guide", numbers[:, 0])
            elif isinstance(subject, Seen | Taken):
                for reply in subject.replies(numbers):
                    self._answer(*reply)
            else:
                self._over += cast(Any, subject).arrive(numbers)

    def _answer_scores(self, scored: Scored, rewards: np.ndarray) -> None:
        """Give the values of a batch their rewards, and charge what judges elsewhere were paid for them."""
        self._jury.note(scored.role, scored.verifier, [value.run for value in scored.values], rewards)
        for value, costs in zip(scored.values, scored.costs, strict=True):
            for column, times in costs.items():
                value.run.image.ledger.call(column, value.calls[scored.role], times)
        self._reward(scored.values, scored.role, rewards)

    def _reward(self, values: Sequence[Value | None], role: str, rewards: np.ndarray) -> None:
        """Give values their rewards by a role, and answer all who wait for them; NaN counts as -inf."""
        comparable = np.where(np.isnan(rewards), -np.inf, rewards).tolist()
        for value, numbers in zip(values, comparable, strict=True):
            if value is None:
                continue
            reward = Components(numbers) if isinstance(numbers, list) else numbers
            waiting, value.scores[role] = value.scores[role], reward
            for position in cast("list[int]", waiting):
                self._answer(value.run, position, reward)

    def _check_finite(self, evaluated: Evaluated, finite: np.ndarray) -> None:
        """Fail the images whose network output is not finite; their neighbours go on."""
        if finite.all():
            return
        for (run, level), good in zip(evaluated.rows, finite.tolist(), strict=True):
            if not good and not run.failure:
                problem = run.image.problem
                run.failure = (
                    f"image {problem.index} (condition {problem.condition!r}): "
                    f"{evaluated.model} returned NaN or Inf at {level}"
                )
                if not run.over:
                    self._close(run)

    def _end(self, run: SearchRun, returned: Particle | None) -> None:
        run.conclude(returned)
        self._delivery.add(run)

    def _close(self, run: SearchRun) -> None:
        """Free what a run holds; a failed one is reported at once."""
        self._delivery.drop(run)
        run.release()
        self._alive.discard(run)
        if run.failure:
            self._over.append(run)
