"""How far a run is: a bar on a terminal, a plain line every 30 s elsewhere."""

from __future__ import annotations

import logging
import sys
import time

log = logging.getLogger(__name__)

INTERVAL_S = 30.0


class Progress:
    """Images made so far, with images/s, NFE/s and the time left.

    Args:
        total: images to make.
    """

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._total = total
        self._done = 0
        self._nfe = 0
        self._started = self._told = time.perf_counter()
        self._bar = tqdm(total=total, unit="image", dynamic_ncols=True) if sys.stderr.isatty() else None

    def update(self, nfe: int) -> None:
        """One more image is done; `nfe` network rows have been spent in all."""
        self._done += 1
        self._nfe = nfe
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix_str(f"{nfe / (now - self._started):.0f} NFE/s", refresh=False)
        elif now - self._told >= INTERVAL_S:
            self._told = now
            log.info(self._line(now))

    def close(self) -> None:
        """End the bar, or tell the total in one line."""
        if self._bar is not None:
            self._bar.close()
        log.info(self._line(time.perf_counter()))

    def _line(self, now: float) -> str:
        seconds = max(now - self._started, 1e-9)
        left = (self._total - self._done) * seconds / max(self._done, 1)
        return (
            f"{self._done}/{self._total} images, {self._done / seconds:.1f} images/s, "
            f"{self._nfe / seconds:.0f} NFE/s, {left:.0f} s left"
        )
