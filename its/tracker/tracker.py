"""The contract of a tracker, which is told of each run as it begins and ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class TrackedRun:
    """A run as it begins.

    Attributes:
        folder: of the run; its last part ends in the hash of what decides the images.
        experiment: folder of all runs that this one is compared with.
        label: the YAML chosen in each group.
        config: resolved, without secrets and places.
    """

    folder: Path
    experiment: Path
    label: dict[str, str]
    config: dict[str, Any]


class Tracker(Protocol):
    """A choice of the group `tracker`. No method raises, and none but `close` waits."""

    def begin(self, run: TrackedRun) -> None:
        """Hear that a run begins."""
        ...

    def end(self, status: str) -> None:
        """Hear that the run ended: `finished`, `failed` or `interrupted`."""
        ...

    def sweep(self, folder: Path) -> None:
        """Hear that all runs are over and that the experiment in `folder` has its report."""
        ...

    def close(self) -> None:
        """Hear that nothing more comes; wait, but not for ever, until all of it is where it belongs."""
        ...


@contextmanager
def tracked(tracker: Tracker, run: TrackedRun) -> Iterator[None]:
    """Tell the tracker of the run that the block makes."""
    tracker.begin(run)
    try:
        yield
    except Exception:
        tracker.end("failed")
        raise
    except BaseException:
        tracker.end("interrupted")
        raise
    tracker.end("finished")
