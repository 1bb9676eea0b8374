"""64-bit paths: where in a search's tree a particle stands, as a hash of the choices that led there."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

_MASK = 0xFFFFFFFFFFFFFFFF


class Verb(IntEnum):
    """What made a branch; folded into the path so that no two verbs share a draw."""

    START = 1
    ADVANCE = 2
    MOVE = 3
    RENOISE = 4
    JITTER = 5
    STEP = 6
    NOISE = 7

    __hash__ = int.__hash__


def fold(path: Any, *words: Any) -> Any:
    """Hash 64-bit `words` into `path`, in order (splitmix64's finaliser, Steele et al. 2014).

    Integers, or uint64 arrays of them.
    """
    for word in words:
        z = (path * 0x9E3779B97F4A7C15 + word + 0x632BE59BD9B4E019) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        path = z ^ (z >> 31)
    return path
