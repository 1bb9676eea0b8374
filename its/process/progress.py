"""Progress of a run: a bar on a terminal, a plain line every 30 s elsewhere."""

from __future__ import annotations

import logging
import sys
import time

log = logging.getLogger(__name__)

INTERVAL_S = 30.0


class Progress:
    """A count of the images made so far, with images/s, NFE/s and the time left.

    Args:
        total: images to make.
    """

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._total = total
        self._done = 0
        self._nfe = 0
        self._started = self._logged = time.perf_counter()
        self._bar = tqdm(total=total, unit="image", dynamic_ncols=True) if sys.stderr.isatty() else None

    def update(self, nfe: int) -> None:
        """Count one more image; `nfe` network rows have been spent in all."""
        self._done += 1
        self._nfe = nfe
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix_str(f"{nfe / (now - self._started):.0f} NFE/s", refresh=False)
        elif now - self._logged >= INTERVAL_S:
            self._logged = now
            log.info(self._line(now))

    def close(self) -> None:
        """End the bar, and log the total in one line."""
        if self._bar is not None:
            self._bar.close()
        log.info(self._line(time.perf_counter()))

    def _line(self, now: float) -> str:
        seconds = max(now - self._started, 1e-9)
        remaining = (self._total - self._done) * seconds / max(self._done, 1)
        return (
            f"{self._done}/{self._total} images, {self._done / seconds:.1f} images/s, "
            f"{self._nfe / seconds:.0f} NFE/s, {remaining:.0f} s left"
        )
