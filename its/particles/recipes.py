"""How a particle's tensor is made, and where a particle began: what a free verb leaves behind.

A recipe `draws` if it uses fresh noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from its.particles.image import Particle
    from its.particles.moves import Move


@dataclass(slots=True, eq=False)
class Start:
    """Recipe: the problem's j-th starting noise."""

    path: int
    draws: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class Given(Start):
    """Recipe: a starting point from elsewhere, `x [*shape]`."""

    x: np.ndarray
    draws: ClassVar[bool] = False


@dataclass(slots=True, eq=False)
class Moved:
    """Recipe: `move` applied to the starting noise of `parent` with the draw at `path`."""

    parent: Particle
    move: Move
    path: int

    @property
    def draws(self) -> bool:
        return self.move.draws


@dataclass(slots=True, eq=False)
class Renoised:
    """Recipe: `parent` taken up to a noisier level by the exact forward kernel."""

    parent: Particle
    path: int
    draws: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class Jittered:
    """Recipe: `parent` plus noise of standard deviation `std`, at its own level."""

    parent: Particle
    std: float
    path: int
    draws: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class Raised:
    """Recipe: the starting point `parent`, the same noise, at the top of another grid."""

    parent: Particle
    draws: ClassVar[bool] = False


Recipe = Start | Moved | Renoised | Jittered | Raised

STARTING_POINTS = (Start, Moved, Raised)
"""Recipes of noise alone, which stands at the top of whatever grid it is given."""


class Origin(NamedTuple):
    """A starting noise, or a move of another origin's: what the engine forgets once it has made the tensor."""

    path: int
    move: Move | None = None
    parent: Origin | None = None
