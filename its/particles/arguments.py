"""Checks of what a search hands to a verb: an error says what came, what is expected, and what to write."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from its.levels import Level
from its.particles.particle import Particle

PARTICLES = frozenset({Particle})


def described(value: Any) -> str:
    """Describe a value in few words: what it is, and how many or which."""
    if isinstance(value, list | tuple):
        kinds = {described(each) for each in value}
        return f"a {type(value).__name__} of {len(value)}" + (f" ({kinds.pop()})" if len(kinds) == 1 else "")
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a {type(value).__name__} of shape {list(value.shape)}"
    if isinstance(value, Particle | Level):
        return f"a {type(value).__name__.lower()}"
    words = repr(value)
    return words if len(words) <= 60 else f"a {type(value).__name__}"


def particles_of(verb: str, value: Any) -> list[Particle]:
    """Return the particles that a verb was given.

    Raises:
        TypeError: it was given something else than a list of them.
    """
    particles: list[Any] = list(value) if type(value) is list or hasattr(type(value), "__iter__") else [None]
    if not PARTICLES.issuperset(map(type, particles)):
        raise TypeError(
            f"{verb} got {described(value)}; it takes a flat list of particles: {verb}([particle]) for one, "
            f"{verb}(particles) for several"
        )
    return particles


def levels_of(verb: str, to: Any, count: int) -> list[Any]:
    """Return the levels that a verb was given for `count` particles: one for each, or the same for all.

    Raises:
        TypeError: it was given something else than levels. ValueError: they are not as many.
    """
    if to is None or isinstance(to, Level):
        return [to] * count
    levels = list(to) if isinstance(to, Sequence) and not isinstance(to, str) else [to]
    strange = [level for level in levels if not (level is None or isinstance(level, Level))]
    if strange:
        raise TypeError(
            f"{verb} got to={described(to)}; it takes a level, or a list with one for each particle: image.grid[2] is "
            "the level after two steps, image.level(0.5) that at half of the time, image.grid[-1] is clean"
        )
    if len(levels) != count:
        raise ValueError(f"{verb} got {count} particles and {len(levels)} levels; give one each")
    return levels


def check_count(verb: str, name: str, value: Any, least: int = 0) -> None:
    """Refuse what is no whole number of at least `least`.

    Raises:
        ValueError: naming the verb and its parameter.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{verb} got {name}={described(value)}; it is a whole number of at least {least}, as of int(...) or //"
        )


def check_number(verb: str, name: str, value: Any) -> None:
    """Refuse what is no number of at least 0.

    Raises:
        ValueError: naming the verb and its parameter.
    """
    if not isinstance(value, Real) or isinstance(value, bool) or not float(value) >= 0:
        raise ValueError(f"{verb} got {name}={described(value)}; it is a number of at least 0")


def rows_of(verb: str, name: str, value: Any, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers that a verb was given for `count` particles, as float64 `[count, *shape]`.

    Raises:
        ValueError: they are as many as they should not be, of another shape than the state's, or not finite.
    """
    try:
        rows = np.asarray(value) if count else np.reshape(value, (0, *shape))
    except ValueError:  # of several shapes, or some where there should be none
        rows = np.empty(())
    if rows.shape != (count, *shape) or rows.dtype.kind not in "fiu":
        raise ValueError(
            f"{verb} got {name}={described(value)}; it is an array of numbers with one row for each particle, "
            f"{[count, *shape]}, of the shape that image.shape says"
        )
    if not np.isfinite(rows).all():
        raise ValueError(f"{verb} got {name} with a number that is not finite; see what it was computed from")
    return rows.astype(np.float64)
