"""Rows and guesses on their way to a search, which sees them as numbers."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch

from its.engine.readback import Readback
from its.engine.rows import Rows
from its.engine.search_run import SearchRun, Value
from its.engine.state import State
from its.model.denoiser import Clipping
from its.particles.verbs import Numbers


class Sight(NamedTuple):
    """A state that a search has asked to see, at a position of its reply."""

    run: SearchRun
    position: int
    state: State


class Seen(NamedTuple):
    """States whose numbers come back, `[n, 2, *shape]`: x and x0_hat."""

    sights: list[Sight]

    def replies(self, numbers: np.ndarray) -> list[tuple[SearchRun, int, Numbers]]:
        """Return what each search is answered, and where."""
        return [
            (sight.run, sight.position, Numbers(*pair.astype(np.float64)))
            for sight, pair in zip(self.sights, numbers, strict=True)
        ]


class Sights:
    """States that searches have asked to see.

    Args:
        rows: of states.
        clipping: of guesses, which are shown as verifiers see them.
    """

    def __init__(self, rows: Rows, readback: Readback, clipping: Clipping) -> None:
        self._rows = rows
        self._readback = readback
        self._clipping = clipping
        self._waiting: defaultdict[Value, list[Sight]] = defaultdict(list)
        self._known: list[Sight] = []

    def ask(self, run: SearchRun, position: int, state: State) -> None:
        """Take a state, whose numbers are sent once its guess is known."""
        sight = Sight(run, position, state)
        if state.guess.row is None:
            self._waiting[state.guess].append(sight)
        else:
            self._known.append(sight)

    def become_known(self, value: Value) -> None:
        """Take on the states whose guess has become known."""
        self._known += self._waiting.pop(value, ())

    @torch.inference_mode()
    def send(self) -> None:
        """Start the copies of what is known."""
        for first in range(0, len(self._known), at_once := self._rows.at_once):
            sights = self._known[first : first + at_once]
            x = self._rows.take([sight.state.x for sight in sights])
            x0 = self._rows.take([sight.state.guess.row for sight in sights])
            clean = torch.tensor([sight.state.level.clean for sight in sights]).to(x.device, non_blocking=True)
            x0 = torch.where(clean.reshape(-1, *[1] * (x.ndim - 1)), x0, self._clipping.clamp(x0))
            self._readback.send(Seen(sights), torch.stack([x, x0], 1))
        self._known = []
