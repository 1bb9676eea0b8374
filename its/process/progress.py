"""Progress of a run: a bar on a terminal, a plain line every 30 s elsewhere, and a process's own sign of life."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from its.process.alive import tell
from its.process.workers import Worker

log = logging.getLogger(__name__)

INTERVAL_S = 30.0


@dataclass(frozen=True)
class Count:
    """How far a run is.

    Attributes:
        images: of the whole run.
        missing: of them when this process began.
        made: by it since, perhaps some that others have made too.
        nfe: network rows that it has spent on them.
        seconds: since it began.
    """

    images: int
    missing: int
    made: int = 0
    nfe: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, counts: Iterable[Count]) -> Count:
        """Return the count of processes that share one run and began together."""
        columns = zip(*((each.images, each.missing, each.made, each.nfe, each.seconds) for each in counts), strict=True)
        images, missing, made, nfe, seconds = columns
        return cls(max(images), max(missing), min(sum(made), max(missing)), sum(nfe), max(seconds))

    @property
    def done(self) -> int:
        """Images that are there."""
        return self.images - self.missing + self.made

    def line(self) -> str:
        """Return it in words; there is no rate before the first image."""
        if not self.made:
            return f"{self.done}/{self.images} images"
        seconds = max(self.seconds, 1e-9)
        remaining = (self.missing - self.made) * seconds / self.made
        return (
            f"{self.done}/{self.images} images, {self.made / seconds:.1f} images/s, {self.nfe / seconds:.0f} NFE/s, "
            f"{remaining:.0f} s left"
        )


def in_words(works: Iterable[Mapping[str, int]]) -> str:
    """Return how far a run is by what the processes at work on it tell; see `its.process.alive.tell`."""
    counts = [Count(**work) for work in works if work.keys() == vars(Count(0, 0)).keys()]
    if not counts:
        return "starting"
    count = Count.of(counts)
    return count.line() if count.made < count.missing else f"{count.done}/{count.images} images, measuring"


class Progress:
    """The images that this process makes, counted as they come.

    Of processes that share a run and a terminal, the one that started the others shows it for all.

    Args:
        images: of the whole run.
        missing: of them, which are to be made.
    """

    def __init__(self, images: int, missing: int) -> None:
        from tqdm import tqdm

        self.count = Count(images, missing)
        self._started = time.perf_counter()
        self._last_line = 0.0
        self._silent = Worker.is_shown_by_another()
        bar = {"total": images, "initial": self.count.done, "unit": "image", "dynamic_ncols": True}
        self._bar = tqdm(**bar) if sys.stderr.isatty() and not self._silent else None
        tell(**vars(self.count))

    def update(self, nfe: int) -> None:
        """Count one more image; `nfe` network rows have been spent in all."""
        seconds = time.perf_counter() - self._started
        self.count = replace(self.count, made=self.count.made + 1, nfe=nfe, seconds=seconds)
        tell(**vars(self.count))
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix_str(f"{nfe / max(seconds, 1e-9):.0f} NFE/s", refresh=False)
        elif seconds - self._last_line >= INTERVAL_S:
            self._last_line = seconds
            self._log()

    def close(self) -> None:
        """End the bar, and log the total in one line."""
        if self._bar is not None:
            self._bar.close()
        self._log()

    def _log(self) -> None:
        if not self._silent:
            log.info(self.count.line())
