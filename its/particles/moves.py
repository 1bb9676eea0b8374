"""Moves of a starting point: a new x_T near an old one. The only tensor code a search brings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Move(Protocol):
    """A frozen, hashable recipe; rows with equal moves are made in one call.

    Attributes:
        uses_noise: whether it takes a draw; if not, `z` is None.
    """

    uses_noise: ClassVar[bool]

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        """Return new starting noise from the old `x` and fresh standard normal `z`, both `[n, *shape]`."""
        ...


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Return the inner product of each row, by adding halves: its bits depend on neither other rows nor device."""
    terms = (a * b).flatten(1)
    while (size := terms.shape[1]) > 1:
        terms, rest = terms.split((size + 1) // 2, dim=1)
        terms[:, : rest.shape[1]].add_(rest)
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
    uses_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not -1.0 < self.cos < 1.0:
            raise ValueError(f"cosine is {self.cos}; it lies strictly between -1 and 1 (default 0.95)")

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        x64, z64 = x.double(), z.double()
        norm = dot(x64, x64).sqrt()
        u = x64 / norm
        w = z64 - dot(z64, u) * u
        w = w / dot(w, w).sqrt()
        return (norm * (self.cos * u + math.sqrt(1.0 - self.cos**2) * w)).to(x.dtype)


@dataclass(frozen=True)
class Mix:
    """Mix in fresh noise, keeping the Gaussian law: `sqrt(1 - share^2) x + share z`.

    Attributes:
        share: weight of the fresh noise, in (0, 1].
    """

    share: float
    uses_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share of fresh noise is {self.share}; it lies in (0, 1]")

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        return math.sqrt(1.0 - self.share**2) * x + self.share * z


@dataclass(frozen=True)
class Ball:
    """Step in a random direction, by a length uniform in [0, radius sqrt(d)), then back to the norm of x.

    The length comes from the norm of z, which is independent of its direction: `P(chi_d < |z|)` is uniform.
    Neighbourhood of noise-trajectory search (2506.03164), whose own step lets the norm grow.

    Attributes:
        radius: longest step, in units of sqrt(d), above 0.
    """

    radius: float
    uses_noise: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.radius <= 0:
            raise ValueError(f"radius is {self.radius}; it is above 0 (default 0.15)")

    def __call__(self, x: Tensor, z: Tensor) -> Tensor:
        import torch

        x64, z64 = x.double(), z.double()
        d = x[0].numel()
        square = dot(z64, z64)
        uniform = torch.special.gammainc(torch.full_like(square, d / 2), square / 2)
        y = x64 + self.radius * math.sqrt(d) * uniform * z64 / square.sqrt()
        return (y * (dot(x64, x64) / dot(y, y)).sqrt()).to(x.dtype)


@dataclass(frozen=True, eq=False)
class LowBand:
    """Replace the low band of the orthonormal Haar transform, and keep every detail band.

    The band holds the sums over blocks of `2^level` squared, divided by `2^level`; white noise in, white noise
    out. At level 0 the band is the whole of x_T.

    Attributes:
        coefs: the new band, float64 `[C, H / 2^level, W / 2^level]`.
        level: of the transform.
    """

    coefs: np.ndarray
    level: int
    uses_noise: ClassVar[bool] = False

    def __call__(self, x: Tensor, z: Tensor | None) -> Tensor:
        import torch

        b = 2**self.level
        if x.shape[-2] % b or x.shape[-1] % b:
            raise ValueError(
                f"a low band of level {self.level} needs height and width divisible by {b}, and they are "
                f"{tuple(x.shape[-2:])}"
            )
        x64 = x.double()
        blocks = x64.unflatten(-1, (-1, b)).unflatten(-3, (-1, b))
        band = blocks.sum((-3, -1)) / b
        change = (torch.from_numpy(self.coefs).to(x64) - band) / b
        return (x64 + change.repeat_interleave(b, -2).repeat_interleave(b, -1)).to(x.dtype)


@dataclass(frozen=True, eq=False)
class Place:
    """Put other numbers in the place of x_T; see `Image.place`.

    Attributes:
        x: float64 `[*shape]`, in units of noise: white noise is a starting point as any other.
    """

    x: np.ndarray
    uses_noise: ClassVar[bool] = False

    def __call__(self, x: Tensor, z: Tensor | None) -> Tensor:
        import torch

        return torch.from_numpy(self.x).to(x).expand_as(x)
