"""How a particle's tensor is made, and where a particle began: what a free verb leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from its.image import Particle
    from its.moves import Move


@dataclass(frozen=True)
class Start:
    """Recipe: the problem's j-th starting noise."""

    path: int


@dataclass(frozen=True, eq=False)
class Given(Start):
    """Recipe: a starting point from elsewhere, `x [*shape]`."""

    x: np.ndarray


@dataclass(frozen=True)
class Moved:
    """Recipe: `move` applied to the starting noise of `parent` with the draw at `path`."""

    parent: Particle
    move: Move
    path: int


@dataclass(frozen=True)
class Renoised:
    """Recipe: `parent` taken up to a noisier level by the exact forward kernel."""

    parent: Particle
    path: int


@dataclass(frozen=True)
class Jittered:
    """Recipe: `parent` plus noise of standard deviation `std`, at its own level."""

    parent: Particle
    std: float
    path: int


@dataclass(frozen=True)
class Raised:
    """Recipe: the starting point `parent`, the same noise, at the top of another grid."""

    parent: Particle


Recipe = Start | Moved | Renoised | Jittered | Raised


@dataclass(frozen=True, slots=True)
class Origin:
    """A starting noise, or a move of another origin's: what the engine forgets once it has made the tensor."""

    path: int
    move: Move | None = None
    parent: Origin | None = None
