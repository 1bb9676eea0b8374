"""Copies of candidates on the host: each goes there once it is rewarded, so that candidates hold no rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from its.engine.readback import Readback
from its.engine.result import Candidate
from its.engine.rows import Row, Rows
from its.engine.search_run import SearchRun


class CandidateCopies(NamedTuple):
    """Candidates on their way to the host: each run, and what makes its candidate of the image."""

    entries: list[tuple[SearchRun, Callable[[np.ndarray], Candidate]]]

    def arrive(self, images: np.ndarray) -> list[SearchRun]:
        """Give each run its candidates, `[n, C, H, W]`; no run is over by that."""
        for (run, candidate_of), image in zip(self.entries, images, strict=True):
            candidate = candidate_of(image)
            run.candidates.setdefault(candidate.branch_key, candidate)
        return []


class CandidateStore:
    """Candidates on their way to the host.

    Args:
        images: rows of decoded images.
    """

    def __init__(self, images: Rows, readback: Readback) -> None:
        self._images = images
        self._readback = readback
        self._entries: list[tuple[SearchRun, Callable[[np.ndarray], Candidate]]] = []
        self._rows: list[Row] = []

    def add(self, run: SearchRun) -> None:
        """Take the candidates that the run's reply has rewarded."""
        cap = -1 if run.search.anytime else run.cap_index
        for position, particle, value, clock in run.unrewarded:
            keys = particle.noise_key, particle.branch_key, particle.origin
            self._entries.append((run, partial(Candidate, cap, clock, *keys, run.reply[position], particle.notes)))
            self._rows.append(value.decoded)

    def send(self) -> None:
        """Start the copies of what has been added; they arrive before any image that is sent later."""
        for first in range(0, len(self._entries), at_once := self._images.at_once):
            part = slice(first, first + at_once)
            self._readback.send(CandidateCopies(self._entries[part]), self._images.take(self._rows[part]))
        self._entries, self._rows = [], []
