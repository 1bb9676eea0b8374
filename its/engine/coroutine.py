"""A search's coroutine, driven so that a mistake in it is told in a sentence, with the line of its author's file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from inspect import getsourcelines
from pathlib import Path
from traceback import FrameSummary, format_list
from types import CodeType, GeneratorType, TracebackType
from typing import Any, NoReturn, cast

from its.budget import UNITS, OutOfBudget
from its.engine.kept_state import changed, state_of
from its.particles.arguments import described
from its.particles.image import Image
from its.particles.particle import Particle
from its.particles.verbs import Request
from its.search.search import Coroutine, Search

MOST_FREE = 1000
"""Replies in a row, none of which cost anything, after which a search is taken for endless."""

MOST_IDLE = 100
"""Plain samplings' worth of steps, one after the other and without a verifier call, after which a search under caps in
verifier calls is taken for endless."""

OURS = tuple(str(Path(__file__).parents[1] / room) for room in ("engine", "particles"))
"""Code that a search is called by and calls; its errors say by themselves what is wrong."""

Frames = Sequence[tuple[CodeType, int]]
"""The code and the line of each frame of a traceback, outermost first."""


class SearchCoroutine:
    """The coroutine of a search on one image; it goes on and ends as a generator does.

    A mistake in it is a ValueError that says where it is, what is wrong, the rule, and how its author's code got there.
    """

    def __init__(self, search: Search, image: Image) -> None:
        self._search = search
        self._image = image
        self._code: CodeType = cast(Any, type(search).run).__code__
        self._state = state_of(search)
        self._end: Frames = ()
        self._ledger, self._dropped = image.ledger, image.dropped
        self._spent, self._free = (0, 0), 0
        try:
            generator: Any = search.run(image)
        except Exception as error:
            self._fail(error)
        if not isinstance(generator, GeneratorType):
            self._check_dropped()
            raise self.mistake(
                f"run has no yield and returned {described(generator)}; write particles = yield advance(image.start()) "
                "and rewards = yield reward(particles)",
                self._returns(),
            )
        self._code = generator.gi_code
        self._generator: Coroutine = generator

    @property
    def standing(self) -> Frames:
        """Return the lines at which it stands; none once it has ended."""
        frames, generator = [], cast(Any, self._generator)
        while (frame := getattr(generator, "gi_frame", None)) is not None:
            frames.append((frame.f_code, frame.f_lineno))
            generator = generator.gi_yieldfrom
        return frames

    def send(self, reply: list | None, *, refused: bool = False) -> Request:
        """Hand over a reply, or say that its request cannot be paid for; return the next request.

        Raises:
            StopIteration: it has returned. OutOfBudget: it let that pass. ValueError: a mistake.
        """
        # Replies that cost nothing may follow each other, but not for ever.
        spent = self._ledger.spent, self._ledger.idle
        self._free = self._free + 1 if spent == self._spent else 0
        self._spent = spent
        if self._free > MOST_FREE:
            raise self.mistake(
                f"got {MOST_FREE} replies in a row that cost nothing, and goes on asking; a search asks for something "
                "new in every round of a loop, or it returns"
            )
        if self._ledger.idle and self._ledger.idle > MOST_IDLE * self._image.cost():
            raise self.mistake(
                f"took {self._ledger.idle} NFE one after the other without a verifier call, and goes on; under "
                "budget.verifier_calls a search asks for rewards, or it returns; for this one give budget.nfe"
            )

        # Go on to the next request, or to the end.
        try:
            request = self._generator.throw(OutOfBudget()) if refused else self._generator.send(reply)
        except StopIteration as stop:
            self._check_end(stop.value)
            raise
        except OutOfBudget as refusal:
            self._end = _frames(refusal.__traceback__)
            self._check_end(None)
            raise
        except Exception as error:
            self._fail(error)
        if self._dropped:
            self._check_dropped()
        if not isinstance(request, Request):
            raise self.mistake(
                f"yielded {described(request)}; a search yields advance(...), reward(...) or numbers(...), one request "
                "at a time, which may be of many particles"
            )
        request.yielded = True
        return request

    def close(self) -> None:
        """End it where it stands.

        Raises:
            ValueError: it did not let itself be ended.
        """
        try:
            self._generator.close()
        except Exception as error:
            if self.standing:
                raise self.mistake(
                    "caught its own end here, as a bare except does; name what it is to catch"
                ) from error
            self._fail(error)

    def mistake(self, sentence: str, frames: Frames | None = None) -> ValueError:
        """Word a mistake.

        Args:
            frames: that led to it; by default where it stands. Of none, where `run` begins.
        """
        frames = (self.standing if frames is None else frames) or [(self._code, self._code.co_firstlineno)]
        lines = [FrameSummary(code.co_filename, line, code.co_name) for code, line in frames]
        home = str(Path(self._code.co_filename).parent)
        place = ([line for line in lines if line.filename.startswith(home)] or lines)[-1]
        return ValueError(
            f"{place.filename}:{place.lineno}: {type(self._search).__name__}, image {self._image.problem.index}: "
            f"{sentence}\n{''.join(format_list(lines)).rstrip()}"
        )

    def no_image(self, cap: float) -> ValueError:
        """Word that it has ended without an image that counts at a cap."""
        unit = UNITS[self._ledger.currency]
        return self.mistake(
            f"ended at a cap of {cap} {unit} with no image: it returned none and rewarded none that it could pay for; "
            "finished images count once yield reward(images) has scored them",
            self._end,
        )

    def _fail(self, error: Exception) -> NoReturn:
        """Raise an error as a mistake at the line of the author's code that led to it."""
        frames = _frames(error.__traceback__)
        sentence = f"raised {type(error).__name__}: {error}"
        if frames[-1][0].co_filename.startswith(OURS):
            sentence = str(error)
        elif isinstance(error, FrozenInstanceError):
            sentence += "; one search makes every image, so what changes on the way is kept in variables of run"
        theirs = [(code, line) for code, line in frames if not code.co_filename.startswith(OURS)]
        raise self.mistake(sentence, theirs) from error

    def _check_dropped(self) -> None:
        """Refuse a request that was made and thrown away."""
        if self._dropped:
            verb, code, line = self._dropped[0]
            raise self.mistake(
                f"{verb}(...) was never yielded, so that nothing came of it; write yield {verb}(...)", [(code, line)]
            )

    def _check_end(self, returned: object) -> None:
        """Refuse what it has left behind, and a result that is none."""
        self._check_dropped()
        name = changed(self._state, state_of(self._search))
        if name is not None:
            raise self.mistake(
                f"kept something in {name}; one search makes every image, and an image depends on no other: keep it in "
                "a variable of run",
                self._lines(rf"\b{name}\b")[:1],
            )
        if returned is None:
            return
        if not isinstance(returned, Particle):
            wrong = f"returned {described(returned)}"
        elif returned.image is not self._image:
            wrong = "returned a particle of another image"
        elif not returned.level.clean:
            wrong = f"returned a particle at {returned.level}, which is not clean"
        elif self._search.makes == "images" and "select" not in returned.state.guess.scores:
            wrong = "returned an image that was never scored by yield reward([image])"
        else:
            return
        rule = (
            "run returns one finished particle that was rewarded, or nothing: then the best rewarded one is the result"
        )
        raise self.mistake(f"{wrong}; {rule}", self._returns())

    def _returns(self) -> Frames:
        """Return the line on which it returns something; none unless there is one alone."""
        lines = self._lines(r"^\s*return\b\s*(?!None\b)[^\s#]")
        return lines if len(lines) == 1 else []

    def _lines(self, pattern: str) -> Frames:
        """Return the lines of `run` that match a pattern; none where its source cannot be read."""
        try:
            lines, first = getsourcelines(self._code)
        except OSError:
            return []
        return [(self._code, first + k) for k, line in enumerate(lines) if re.search(pattern, line)]


def _frames(traceback: TracebackType | None) -> Frames:
    frames = []
    while traceback is not None:
        frames.append((traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
    return frames
