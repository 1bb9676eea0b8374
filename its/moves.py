"""Moves of a starting point: a new x_T near an old one. The only tensor code a search brings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Move(Protocol):
    """A frozen, hashable recipe; rows with equal moves are made in one call."""

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        """New starting noise from the old `x` and fresh standard normal `z`, both `[n, *shape]`."""
        ...


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each row, by adding halves: its bits depend on neither other rows nor device."""
    terms = (a * b).flatten(1)
    while (size := terms.shape[1]) > 1:
        half = (size + 1) // 2
        terms[:, : size - half] += terms[:, half:]
        terms = terms[:, :half]
    return _column(terms, a)


@dataclass(frozen=True)
class Rotate:
    """Turn by an exact angle on the sphere of the same norm: `|x| (cos u + sqrt(1 - cos^2) w)`.

    `u` is the direction of x and `w` a random unit vector orthogonal to it. Neighbourhood of
    zero-order search (Ma et al. 2025, arXiv:2501.09732; formula as in tt-scale-flux).

    Attributes:
        cos: cosine between old and new noise, in (-1, 1).
    """

    cos: float

    def __post_init__(self) -> None:
        if not -1.0 < self.cos < 1.0:
            raise ValueError(f"cosine is {self.cos}; it lies strictly between -1 and 1 (default 0.95)")

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        x64, z64 = x.double(), z.double()
        norm = _dot(x64, x64).sqrt()
        u = x64 / norm
        w = z64 - _dot(z64, u) * u
        w = w / _dot(w, w).sqrt()
        return (norm * (self.cos * u + math.sqrt(1.0 - self.cos**2) * w)).to(x.dtype)


@dataclass(frozen=True)
class Mix:
    """Mix in fresh noise, keeping the Gaussian law: `sqrt(1 - share^2) x + share z`.

    Attributes:
        share: weight of the fresh noise, in (0, 1].
    """

    share: float

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share of fresh noise is {self.share}; it lies in (0, 1]")

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        return math.sqrt(1.0 - self.share**2) * x + self.share * z
