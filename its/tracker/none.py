"""No tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from its.tracker.job import Job


@dataclass(frozen=True)
class NoTracker:
    """Tells nobody."""

    def begin(self, job: Job) -> None:
        """Nothing."""

    def end(self, status: str) -> None:
        """Nothing."""

    def sweep(self, folder: Path) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
