"""No tracker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from its.tracker.tracker import TrackedRun


@dataclass(frozen=True)
class NoTracker:
    """A tracker that keeps nothing."""

    def begin(self, run: TrackedRun) -> None:
        """Do nothing."""

    def end(self, status: str) -> None:
        """Do nothing."""

    def sweep(self, folder: Path) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
