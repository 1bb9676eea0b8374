"""The runs of a command that failed: each is told once, when everything else has been said."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from its.config.composed import own_words

log = logging.getLogger(__name__)


class Failures:
    """Statuses of failed jobs, with the words of all jobs, by which these are told apart."""

    def __init__(self) -> None:
        self._words: list[Sequence[str]] = []
        self._failed: list[tuple[int, Mapping[str, Any]]] = []

    def hear(self, words: Sequence[str], status: Mapping[str, Any]) -> None:
        """Hear of a job that is over, and of its status."""
        if status["status"] == "failed":
            self._failed.append((len(self._words), status))
        self._words.append(words)

    def __bool__(self) -> bool:
        return bool(self._failed)

    @property
    def folders(self) -> list[Path]:
        """The folders of those that have one."""
        return [Path(status["folder"]) for _, status in self._failed if status.get("folder")]

    def tell(self) -> None:
        """Say which jobs failed and why, by a traceback if the code is to blame; what several share is said once."""
        # Put jobs together that failed alike.
        names = own_words(self._words)
        jobs_of: dict[str, list[str]] = {}
        for number, status in self._failed:
            trace = status.get("traceback")
            jobs_of.setdefault(f"\n{trace}" if trace else f" {status['reason']}", []).append(" ".join(names[number]))

        # Say which they were, and why.
        for reason, jobs in jobs_of.items():
            which = ", ".join(filter(None, jobs))
            log.error("%s", f"failed: {which}:{reason}" if which else f"failed:{reason}")
