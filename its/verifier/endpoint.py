"""A judge elsewhere: any endpoint that speaks OpenAI's chat completions, asked with retries and a limit in flight."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple

from its.types import RunPlace, SpeedOnly
from its.verifier.answers import COUNTS, Answer, Answers
from its.verifier.chat import BusyError, Chat, RefusedError
from its.verifier.rubric import NonsenseError, Rubric

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

MOST_WAIT_S, MOST_STATED_WAIT_S = 60.0, 300.0
"""Seconds between two attempts at most: by the rule, and where a host asks for them."""

LEAST_NUMBER, NUMBERS = 1000, 9000
"""Pictures are called by numbers of four digits, which come from their keys, so that company changes no question."""

MOST_TEXT = 2000
"""Characters of an answer, or of a failure, that are kept."""

MOST_NAMED = 5
"""Pictures that an error lists."""


class Question(NamedTuple):
    """A picture, its prompt, the key of the answer, and the number by which the picture is called."""

    picture: np.ndarray
    prompt: str
    key: str

    @property
    def number(self) -> int:
        """The number of four digits by which the picture is called."""
        return LEAST_NUMBER + int(self.key[:12], 16) % NUMBERS

    def __str__(self) -> str:
        return f"picture {self.key[:12]} of {self.prompt[:80]!r}"


class Outcome(NamedTuple):
    """The reason why a question has no answer, if it has none; a fatal one is of the host, and not of the picture."""

    failure: str = ""
    fatal: bool = False


class Endpoint:
    """Scores of pictures by a model that is asked over the network; each picture is one request.

    An answer is kept in the run's folder the moment it is there, and never asked for again. A picture whose answers
    are nonsense has no score (NaN); a host that does not answer ends the run, and the same command goes on.

    Args:
        url: of the API (`https://host/v1`), to which `/chat/completions` is added.
        model: as the host calls it.
        key_variable: the environment's variable that holds the key; None sends none.
        options: of every request.
        in_flight: requests at once.
        attempts: for each picture.
        wait_s: seconds before the second attempt, doubled before each further one, up to a minute; a host that says how
            long to wait is waited for as long.
        timeout_s: seconds for one answer.
        folder: where answers are kept; None is the run's.

    Raises:
        ValueError: a value breaks a rule.
    """

    remote = True

    def __init__(
        self,
        url: str,
        model: str,
        key_variable: str | None = None,
        options: Mapping[str, Any] | None = None,
        in_flight: SpeedOnly[int] = 4,
        attempts: SpeedOnly[int] = 6,
        wait_s: SpeedOnly[float] = 1.0,
        timeout_s: SpeedOnly[float] = 120.0,
        folder: SpeedOnly[RunPlace] | None = None,
    ) -> None:
        if min(in_flight, attempts) < 1 or min(wait_s, timeout_s) <= 0:
            raise ValueError(
                f"in_flight={in_flight}, attempts={attempts}, wait_s={wait_s} and timeout_s={timeout_s} of the judge; "
                "the first two are at least 1, the others above 0"
            )
        self.chat = Chat(url, model, key_variable, dict(options or {}), timeout_s)
        self.in_flight, self.attempts, self.wait_s = in_flight, attempts, wait_s
        self._answers = Answers(folder)

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], rubric: Rubric, name: str) -> list[float]:
        """Return the score called `name` of each picture; NaN where the answers were nonsense, which is said.

        Raises:
            ValueError: the host refuses, or does not answer; naming the pictures that have no score.
        """
        questions = [
            Question(picture, prompt, self.key_of(picture, prompt, rubric))
            for picture, prompt in zip(pictures, prompts, strict=True)
        ]
        known = self._answers.known(question.key for question in questions)
        missing = {question.key: question for question in questions if question.key not in known}
        if missing:
            known |= self._ask(list(missing.values()), rubric)
        return [known[question.key][name] if question.key in known else math.nan for question in questions]

    def costs(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], rubric: Rubric) -> list[dict[str, int]]:
        """Return what the scores of pictures cost, by column of the ledger, when they were asked for."""
        keys = [self.key_of(*pair, rubric) for pair in zip(pictures, prompts, strict=True)]
        return [self._answers.cost(key) for key in keys]

    def key_of(self, picture: np.ndarray, prompt: str, rubric: Rubric) -> str:
        """Return the sha256 of a picture, its prompt, the rubric, the model with its options, and the host."""
        chat = self.chat
        words = [list(picture.shape), prompt, rubric.question("", 0), chat.model, chat.options, chat.url]
        return sha256(picture.tobytes() + json.dumps(words, sort_keys=True).encode()).hexdigest()

    def _ask(self, questions: Sequence[Question], rubric: Rubric) -> dict[str, Mapping[str, float]]:
        """Ask all questions, so many at once; return the scores by key, of pictures that have one.

        Until there is one sound answer, whatever goes wrong is an error of the configuration, and ends the run.

        Raises:
            ValueError: the host refuses, or does not answer.
        """
        # Ask, and let none begin once the host is seen to be of no use.
        stop = Event()
        pool = ThreadPoolExecutor(self.in_flight, "judge")
        try:
            outcomes = list(pool.map(lambda question: self._attempt(question, rubric, stop), questions))
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)

        # Say which have no score, and why.
        known = self._answers.known(question.key for question in questions)
        pairs = zip(questions, outcomes, strict=True)
        scoreless = [(question, outcome) for question, outcome in pairs if question.key not in known]
        for question, outcome in scoreless:
            log.warning("%s gave no score to %s: %s", self.chat.model, question, outcome.failure)
        fatal = [outcome.failure for _, outcome in scoreless if outcome.fatal or not self._answers]
        if fatal:
            raise ValueError(
                f"{self.chat.model} at {self.chat.url} gave no score to {len(scoreless)} of {len(questions)} pictures "
                f"({'; '.join(str(question) for question, _ in scoreless[:MOST_NAMED])}): {fatal[0]}. "
                "Scores that are there are kept, and the same command goes on from them"
            )
        return known

    def _attempt(self, question: Question, rubric: Rubric, stop: Event) -> Outcome:
        """Ask one question until there is a sound answer, and keep that, or what came to nothing."""
        cost, failure, fatal = dict.fromkeys(COUNTS, 0), "it was not asked any more", True
        wait_s: float | None = 0.0
        for attempt in range(self.attempts):
            if stop.wait(0.0 if wait_s is None else wait_s):
                break
            wait_s, fatal = min(self.wait_s * 2**attempt, MOST_WAIT_S), False
            try:
                cost["calls"] += 1
                reply = self.chat.ask(question.picture, rubric.question(question.prompt, question.number))
                cost["tokens_read"] += reply.tokens_read
                cost["tokens_written"] += reply.tokens_written
                scores = rubric.read(reply.text, question.number)
                self._answers.keep(Answer(question.key, scores, cost, reply.text[:MOST_TEXT]))
                return Outcome()
            except NonsenseError as error:
                failure = f"its answer is nonsense: {error}"
            except BusyError as error:
                failure, fatal = f"it does not answer: {error}", True
                wait_s = wait_s if error.wait_s is None else min(max(error.wait_s, 0.0), MOST_STATED_WAIT_S)
            except RefusedError as error:
                failure, fatal = f"it refuses: {error}", not error.of_picture
                break

        # Let nobody else try a host that is of no use.
        if fatal:
            stop.set()
        failure = self.chat.without_key(failure)[:MOST_TEXT]
        if cost["calls"]:
            self._answers.keep(Answer(question.key, None, cost, failure=failure))
        return Outcome(failure, fatal)
