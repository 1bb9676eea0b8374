"""What a tracker is told of a job, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One run as it begins.

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

    def begin(self, job: Job) -> None:
        """A job begins."""
        ...

    def end(self, status: str) -> None:
        """It ended: `finished`, `failed` or `interrupted`."""
        ...

    def sweep(self, folder: Path) -> None:
        """All jobs are over, and an experiment's folder has its report."""
        ...

    def close(self) -> None:
        """Nothing more comes; wait, but not for ever."""
        ...


@contextmanager
def tracked(tracker: Tracker, job: Job) -> Iterator[None]:
    """Tell the tracker of a job that the block does."""
    tracker.begin(job)
    try:
        yield
    except Exception:
        tracker.end("failed")
        raise
    except BaseException:
        tracker.end("interrupted")
        raise
    tracker.end("finished")
