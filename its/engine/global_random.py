"""Random numbers that belong to no image: what a search draws of them would be others on a rerun, so it is refused."""

from __future__ import annotations

import ctypes
import random
from typing import Any, cast

import numpy as np
import torch

from its.engine.coroutine import Frames
from its.engine.search_run import SearchRun

WATCHED = 24
"""Search runs at the beginning of a stream that are watched one by one: all of a smoke run, 12 images at 2 caps."""


class GlobalRandomWatch:
    """The states of Python's, NumPy's and torch's own random numbers, compared around the code of searches.

    Nothing but searches runs between `enter` and `leave`. A look at the states takes as long as all else about a reply,
    so the first runs are looked at before and after, and all others once, after many have gone on. If that differs from
    the look before, a model may have drawn: from then on there are both looks, and the next time shows who it was.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._seen: dict[str, Any] = {}
        self._strict = False
        self._stood: Frames | None = None
        self._entered: list[SearchRun] = []

    def enter(self, run: SearchRun) -> None:
        """Note that a search is about to go on."""
        watched = run.order <= WATCHED
        looked = watched and bool(self._entered)
        if looked:
            self.leave()
        if not self._entered:
            self._stood = run.coroutine.standing if watched else None
            self._seen = self._states() if (watched or self._strict) and not looked else self._seen
        self._entered.append(run)

    def leave(self) -> None:
        """See that the searches that have gone on drew nothing.

        Raises:
            ValueError: naming the generator, and where the search stood; or of several searches one.
        """
        entered, self._entered = self._entered, []
        if not entered:
            return
        before, self._seen = self._seen, self._states()
        if before == self._seen:
            return
        if not self._strict and self._stood is None:
            self._strict = True
            return
        names = " and ".join(name for name, state in self._seen.items() if state != before[name])
        onward = sorted({str(frames[-1][1]) for run in entered if (frames := run.coroutine.standing)})
        here = f"before line {' or '.join(onward)}" if onward else "before its end"
        others = f", or one of the {len(entered) - 1} images did that went on with it" if len(entered) > 1 else ""
        raise entered[0].coroutine.mistake(
            f"drew from {names} {here}{others}; a rerun would give another image: draw from image.random, "
            "as image.random.uniform(n)",
            self._stood,
        )

    def _states(self) -> dict[str, Any]:
        states = {
            "random": random.getstate(),
            "numpy.random": _numpy_state(),
            "torch": torch.get_rng_state().numpy().tobytes(),
        }
        if self._device.type == "cuda":
            states["torch.cuda"] = torch.cuda.get_rng_state(self._device).numpy().tobytes()
        return states


def _numpy_state() -> Any:
    """Return the state of `numpy.random`'s own generator; of the usual kind at once, of others in NumPy's 35 µs."""
    bits = cast(Any, np.random).get_bit_generator()
    if isinstance(bits, np.random.MT19937):
        return bytes((ctypes.c_uint32 * 625).from_address(bits.ctypes.state_address))
    return repr(bits.state)
