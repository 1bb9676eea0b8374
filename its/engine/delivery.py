"""Images of runs that have ended, on their way from the device to bytes on the host."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from its.engine.candidates import CandidateStore
from its.engine.readback import Readback
from its.engine.rows import Row, Rows
from its.engine.score import Scoring
from its.engine.search_run import SearchRun, Value
from its.pixels import to_uint8


class ImageCopies(NamedTuple):
    """Images on their way to the host, and for each run which of them it has at every cap."""

    runs: list[SearchRun]
    picks: list[list[int]]

    def arrive(self, images: np.ndarray) -> list[SearchRun]:
        """Give each run its images, uint8 `[n, H, W, C]`; return the runs, which are complete by that."""
        for run, picks in zip(self.runs, self.picks, strict=True):
            run.images = [images[pick] for pick in picks]
        return self.runs


class StartCopies(NamedTuple):
    """Starting points on their way to the host: whose, and at which cap."""

    places: list[tuple[SearchRun, int]]

    def arrive(self, rows: np.ndarray) -> list[SearchRun]:
        """Give each run its starting points, `[n, *shape]`; no run is over by that."""
        for (run, at), row in zip(self.places, rows, strict=True):
            run.starts[at] = row
        return []


class Delivery:
    """Runs that have ended, on their way out.

    Args:
        rows: of states.
        keep_candidates: whether candidates are brought to the host too.
    """

    def __init__(self, rows: Rows, scoring: Scoring, readback: Readback, keep_candidates: bool) -> None:
        self._rows = rows
        self._scoring = scoring
        self._readback = readback
        self._ended: list[SearchRun] = []
        self._candidates = CandidateStore(scoring.images, readback) if keep_candidates else None

    def keep_candidates(self, run: SearchRun) -> None:
        """Take the candidates that the run's reply has rewarded, if they are kept."""
        if self._candidates is not None:
            self._candidates.add(run)

    def add(self, run: SearchRun) -> None:
        """Take over a run that has concluded; an image that it chose without a reward is decoded now."""
        for value in _distinct([run]):
            if self._scoring.decodes and value.decoded is None:
                run.image.ledger.call("decoder_calls", run.image.ledger.spent)
                self._scoring.decode(value)
        self._ended.append(run)

    def drop(self, run: SearchRun) -> None:
        """Forget a run that has failed after all."""
        if run in self._ended:
            self._ended.remove(run)

    def send(self) -> list[SearchRun]:
        """Start the copies of candidates, and of the images of runs whose values are decoded.

        Returns:
            Those runs, which need their rows no more; others may be ready for the next call.
        """
        if self._candidates is not None:
            self._candidates.send()
        ready = self._ready()
        if not ready:
            return []

        # Each different image once.
        values = _distinct(ready)
        images = to_uint8(self._scoring.images.take([self._row(value) for value in values]))
        place_of = {id(value): place for place, value in enumerate(values)}
        picks = [[place_of[id(winner.value)] for winner in run.winners] for run in ready]

        # Starting points arrive before the images, with which a run is complete.
        self._send_starts(ready)
        self._readback.send(ImageCopies(ready, picks), images)
        for run in ready:
            self._ended.remove(run)
            run.rewards = [winner.reward for winner in run.winners]
            run.notes = [winner.notes for winner in run.winners]
            run.winners = []
        return ready

    def _ready(self) -> list[SearchRun]:
        """Return runs whose values are decoded, with as many images as are copied at once, or one with more."""
        ready, images = list[SearchRun](), 0
        for run in self._ended:
            if all(self._row(winner.value) is not None for winner in run.winners):
                images += len(run.winners)
                if ready and images > self._scoring.images.at_once:
                    break
                ready.append(run)
        return ready

    def _send_starts(self, runs: list[SearchRun]) -> None:
        """Note the numbers of starting points, and start the copy of those that have been moved."""
        places, rows = [], []
        for run in runs:
            run.starts = [winner.start if isinstance(winner.start, int) else None for winner in run.winners]
            for at, winner in enumerate(run.winners):
                if isinstance(winner.start, Row):
                    places.append((run, at))
                    rows.append(winner.start)
        if places:
            self._readback.send(StartCopies(places), self._rows.take(rows))

    def _row(self, value: Value) -> Row:
        return value.decoded if self._scoring.decodes else value.row


def _distinct(runs: list[SearchRun]) -> list[Value]:
    return list({id(winner.value): winner.value for run in runs for winner in run.winners}.values())
