"""Random numbers that belong to no image: what a search draws of them would be others on a rerun, so it is refused."""

from __future__ import annotations

import ctypes
import random
from typing import Any, cast

import numpy as np
import torch

from its.engine.state import SearchRun

WATCHED = 4
"""Search runs at the beginning of a stream that are watched one by one: of the first image, at up to four caps."""


class GlobalRandomWatch:
    """The states of Python's, NumPy's and torch's own random numbers, compared around the code of searches.

    Nothing but searches runs between `enter` and `leave`, so that no model and no verifier is taken for one. Of
    searches that go on one after the other they are compared once, for that takes as long as all else about a reply.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before: dict[str, Any] = {}
        self._entered: list[tuple[SearchRun, Any]] = []

    def enter(self, run: SearchRun) -> None:
        """Note that a search is about to go on."""
        if not self._entered:
            self._before = self._states()
        elif run.order <= WATCHED:
            self.leave()
        self._entered.append((run, run.coroutine.standing if run.order <= WATCHED else None))

    def leave(self) -> None:
        """See that the searches that have gone on drew nothing.

        Raises:
            ValueError: naming the generator, and where the search stood; or of several searches one.
        """
        entered, self._entered = self._entered, []
        before, self._before = self._before, self._states() if entered else {}
        if not entered or before == self._before:
            return
        names = " and ".join(name for name, state in self._before.items() if state != before[name])
        run, stood = entered[0]
        onward = sorted({str(frames[-1].lineno) for each, _ in entered if (frames := each.coroutine.standing)})
        here = f"before line {' or '.join(onward)}" if onward else "before its end"
        others = f", or one of the {len(entered) - 1} images did that went on with it" if len(entered) > 1 else ""
        raise run.coroutine.mistake(
            f"drew from {names} {here}{others}; a rerun would give another image: draw from image.random, "
            "as image.random.uniform(n)",
            stood,
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
