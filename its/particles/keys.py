"""64-bit keys of draws: hashes of the choices that led to a particle, made nowhere else.

A draw is a function of (seed, problem, key); see `its.engine.noise`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

_MASK = 0xFFFFFFFFFFFFFFFF


class Verb(IntEnum):
    """The uses of a key, folded into it so that no two of them share a draw."""

    START = 1
    ADVANCE = 2
    MOVE = 3
    RENOISE = 4
    JITTER = 5
    STEP = 6
    NOISE = 7
    PLACE = 8
    PROPOSE = 9

    __hash__ = int.__hash__


def fold(key: Any, *words: Any) -> Any:
    """Hash 64-bit `words` into `key`, in order (splitmix64's finaliser, Steele et al. 2014).

    Args:
        key: an integer, or a uint64 array of them. words: likewise.
    """
    for word in words:
        z = (key * 0x9E3779B97F4A7C15 + word + 0x632BE59BD9B4E019) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        key = z ^ (z >> 31)
    return key


_STARTS, _NOISES = fold(0, Verb.START), fold(0, Verb.NOISE)
_STEP = int(Verb.STEP)


def start_key(number: int) -> int:
    """Return the key of a starting noise by its number in the problem's fixed sequence, from 0."""
    return fold(_STARTS, number)


def fresh_noise_key(number: int) -> int:
    """Return the key of a noise of `image.noise` by its number in the problem's sequence of them, from 0."""
    return fold(_NOISES, number)


def step_key(noise_key: Any, level_key: Any, number: Any) -> Any:
    """Return the key of a draw that a step takes: integers, or uint64 arrays with one entry a row.

    Args:
        noise_key: of the particle that is stepped to (`Particle.noise_key`).
        level_key: of the level that the step leaves (`Level.key`).
        number: of the draw among those that a step from this level may take, from 0.
    """
    return fold(noise_key, _STEP, level_key, number)
