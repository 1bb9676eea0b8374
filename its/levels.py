"""Noise levels as values and as columns of a batch, the network's guess, and the variances of a step.

A row at a level is `x_t = alpha x_0 + sigma eps`. Formulas are written once, for two `Level`s (floats) and for two
`Columns` (float64 tensors) alike: t is the noisier level, s the cleaner one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack, unpack
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Level:
    """A noise level as a value: `x_t = alpha x_0 + sigma eps`.

    Attributes:
        alpha: signal coefficient, in [0, 1].
        sigma: noise standard deviation, >= 0; 0 is clean.
        time: native time of the noise path, larger where it is noisier: the training step on VP, t times its scale on
            flow, `sigma ** (1 / rho)` on EDM. An adapter makes its network's time input of it.
        scale: factor on `x_t` before it enters the network.
        norm: `x_t / norm` moves on a straight line while x0_hat and eps_hat stay (alpha on VP and
            EDM paths, 1 on linear flow); second-order samplers average slopes there.
        ends: whether a row here is an image though noise is left, as where a checkpoint's table ends.
        key: the 64 bits of the native time, by which the draws at this level are keyed.
        packed: the five values as doubles.
    """

    alpha: float
    sigma: float
    time: float
    scale: float = 1.0
    norm: float = 1.0
    ends: bool = False
    key: int = field(init=False, repr=False, compare=False)
    packed: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", pack("<5d", self.alpha, self.sigma, self.time, self.scale, self.norm))
        object.__setattr__(self, "key", int(unpack("<Q", pack("<d", self.time))[0]))

    def __hash__(self) -> int:
        return self.key

    @property
    def clean(self) -> bool:
        """Return whether a row here is an image: no noise is left, or none that is taken away."""
        return self.ends or self.sigma == 0.0


Grid = tuple[Level, ...]
"""Levels of one sampling, noisiest first; the last is clean."""


class Columns(NamedTuple):
    """Levels of a batch as float64 columns `[n, 1, ...]` that broadcast over rows."""

    alpha: Tensor
    sigma: Tensor
    time: Tensor
    scale: Tensor
    norm: Tensor

    @classmethod
    def of(cls, levels: Sequence[Level], ndim: int, device: torch.device | str) -> Columns:
        """Stack levels for rows of `ndim` dimensions, the batch dimension counted."""
        import torch

        table = np.frombuffer(b"".join([level.packed for level in levels])).reshape(len(levels), 5).T.copy()
        return cls(*torch.from_numpy(table).to(device, non_blocking=True).reshape(5, -1, *[1] * (ndim - 1)).unbind())


class Guess(NamedTuple):
    """The network's estimate of a row's image and noise, x0_hat and eps_hat, both `[n, *shape]`.

    As predicted they satisfy `x_t = alpha x0_hat + sigma eps_hat`; a clipped x0_hat need not.

    Attributes:
        share: `[n, *shape]`, of a network that has learned the variance of ancestral steps: the weight of the log of
            the largest against that of the smallest; see `its.sampler.ddim`.
    """

    x0: Tensor
    eps: Tensor
    share: Tensor | None = None

    def sums(self) -> Tensor:
        """Return the sum over each row `[n]`, which is finite only if every number of it is."""
        parts = (self.x0, self.eps) if self.share is None else self
        return sum(part.flatten(1).sum(1) for part in parts)  # type: ignore

    def detached(self) -> Guess:
        """Return it without gradients."""
        return Guess(self.x0.detach(), self.eps.detach(), None if self.share is None else self.share.detach())

    def pick(self, index: Any) -> Guess:
        """Return the rows at an index."""
        return Guess(self.x0[index], self.eps[index], None if self.share is None else self.share[index])


@overload
def ancestral_variance(t: Level, s: Level, eta: float) -> float: ...
@overload
def ancestral_variance(t: Columns, s: Columns, eta: float) -> Tensor: ...
def ancestral_variance(t: Any, s: Any, eta: float) -> Any:
    """Compute the variance of the noise that a DDIM step from t to s adds.

    Song et al. 2020 (arXiv:2010.02502), Eq. 16, on any path: `eta^2 (sigma_s / sigma_t)^2` times the variance of the
    forward kernel from s to t.

    Args:
        eta: 0 is deterministic, 1 ancestral.
    """
    return eta**2 * (s.sigma / t.sigma) ** 2 * forward_variance(s, t)


@overload
def forward_variance(s: Level, t: Level) -> float: ...
@overload
def forward_variance(s: Columns, t: Columns) -> Tensor: ...
def forward_variance(s: Any, t: Any) -> Any:
    """Compute the variance of the forward kernel from s up to the noisier t.

    `x_t = (alpha_t / alpha_s) x_s + sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) z`; rounding below 0 is cut.
    """
    variance = t.sigma**2 - (t.alpha / s.alpha) ** 2 * s.sigma**2
    return max(variance, 0.0) if isinstance(s, Level) else variance.clamp(min=0.0)


def forward_std(s: Level, t: Level) -> float:
    """Compute the standard deviation of the forward kernel from s up to the noisier t; see `forward_variance`."""
    return math.sqrt(forward_variance(s, t))
