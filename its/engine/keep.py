"""Every candidate of an image, on its way to the host: what `keep_candidates` keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from its.engine.pool import Pool
from its.engine.readback import Readback
from its.particles.recipes import Origin

if TYPE_CHECKING:
    from its.engine.state import Task, Value

Key = tuple[int, int, Origin | None]
"""See `its.particles.image.Particle.key`."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A clean particle that a search had rewarded by the select verifier.

    Attributes:
        cap: position of the cap whose own run made it; -1 where one run serves all caps.
        clock: NFE from which on it counts.
        key: of its particle.
        reward: of the select verifier; a tuple of components if that is relative.
        image: `[C, H, W]` in about [-1, 1], in the state's dtype: the very numbers that the verifier was given.
    """

    cap: int
    clock: int
    key: Key
    reward: float | tuple[float, ...]
    image: np.ndarray


class Keeper:
    """Copies candidates to the host as they come, so that a pool holds no rows.

    Args:
        images: rows of decoded images.
    """

    def __init__(self, images: Pool, readback: Readback) -> None:
        self._images = images
        self._readback = readback
        self._kept: list[tuple[Task, Value, int, Key, float]] = []

    def add(self, task: Task) -> None:
        """Take the candidates that the task's reply has rewarded."""
        self._kept += [
            (task, value, clock, key, task.reply[position]) for position, value, _, clock, key in task.candidates
        ]

    def send(self) -> None:
        """Start the copy of what has been added; it arrives before any image that is sent later."""
        if self._kept:
            kept, self._kept = self._kept, []
            rows = self._images.take([value.decoded for _, value, *_ in kept])
            entries = [(task, clock, key, reward) for task, _, clock, key, reward in kept]
            self._readback.send(rows, lambda images: _received(entries, images))


def _received(entries: list[tuple[Task, int, Key, float]], images: np.ndarray) -> None:
    for (task, clock, key, reward), image in zip(entries, images, strict=True):
        cap = -1 if task.search.anytime else task.cap_index
        task.pool.setdefault(key[1], Kept(cap, clock, key, reward, image))
