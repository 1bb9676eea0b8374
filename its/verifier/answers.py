"""Answers of a judge elsewhere, kept beside the run: what is on disk is never asked for again."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from its.budget import JUDGE_CALLS, JUDGE_TOKENS
from its.disk.lines import Entry, Lines
from its.disk.sealed import sealed
from its.disk.store import ANSWERS

COUNTS = ("calls", "tokens_read", "tokens_written")
"""What an answer cost, with the attempts that came to nothing: requests, and tokens as the host counts them."""


class Answer(NamedTuple):
    """An answer to one question, or the reason why there is none; and what it cost."""

    key: str
    scores: Mapping[str, float] | None
    cost: Mapping[str, int]
    text: str = ""
    failure: str = ""


class Answers:
    """Scores by key, of this process and of others that keep theirs in the same file.

    Args:
        folder: of the run; None keeps them in memory alone.
    """

    def __init__(self, folder: str | None) -> None:
        self._lines = None if folder is None else _lines_of(Path(folder))
        self._scores: dict[str, Mapping[str, float]] = {}
        self._costs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._new: list[Entry] = []
        self._lock = Lock()

    def __bool__(self) -> bool:
        """Return whether there is any score."""
        return bool(self._scores)

    def known(self, keys: Iterable[str]) -> dict[str, Mapping[str, float]]:
        """Return the scores that are there already, by key."""
        with self._lock:
            for entry in [*([] if self._lines is None else self._lines.read()), *self._new]:
                self._enter(entry)
            self._new.clear()
            return {key: self._scores[key] for key in keys if key in self._scores}

    def keep(self, answer: Answer) -> None:
        """Keep an answer, or what a failure cost; of two answers to a question the first in the file holds."""
        entry = {**answer._asdict(), "cost": dict(answer.cost)}
        with self._lock:
            if self._lines is not None:
                self._lines.append(entry)
            if self._lines is None or answer.scores is not None:
                self._new.append(entry)  # of an answer also where its line is damaged before it is read

    def cost(self, key: str) -> dict[str, int]:
        """Return what the score of a question has cost, by column of the ledger: its answer, and failures before it."""
        cost = self._costs[key]
        return {JUDGE_CALLS: cost["calls"], JUDGE_TOKENS: cost["tokens_read"] + cost["tokens_written"]}

    def _enter(self, entry: Entry) -> None:
        """Take over an entry; what comes after the answer to a question is of no account."""
        if entry["key"] not in self._scores:
            self._costs[entry["key"]].update(entry["cost"])
            if entry["scores"] is not None:
                self._scores[entry["key"]] = entry["scores"]


def bill(folder: Path) -> str:
    """Return in words what judges elsewhere were asked for a run in all, by the answers in its folder."""
    lines = _lines_of(folder)
    entries = lines.read()
    calls, *tokens = (sum(each["cost"][count] for each in entries) for count in COUNTS)
    return f"{calls:,} requests and {sum(tokens):,} tokens in all, as {lines.path} has them"


def take_over(folder: Path, part: Path) -> None:
    """Add to the answers in a run's folder those that only another part of the run has."""
    lines = _lines_of(folder)
    present = set(map(sealed, lines.read()))
    if new := [entry for entry in _lines_of(part).read() if sealed(entry) not in present]:
        lines.append(*new)


def _lines_of(folder: Path) -> Lines:
    return Lines(folder / ANSWERS, _fits)


def _fits(entry: Entry) -> bool:
    """Return whether a line is an answer's."""
    scores, cost = entry.get("scores", ""), entry.get("cost")
    return (
        isinstance(entry.get("key"), str)
        and (scores is None or (isinstance(scores, dict) and all(map(_is_number, scores.values()))))
        and isinstance(cost, dict)
        and all(type(cost.get(count)) is int for count in COUNTS)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
