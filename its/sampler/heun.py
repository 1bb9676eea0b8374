"""Heun's second-order method (Karras et al. 2022, arXiv:2206.00364, Alg. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.levels import Columns, Guess, Level
from its.sampler.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Heun(Sampler):
    """A step of two evaluations; the last one, into clean, has one.

    The slopes at both ends are averaged where the path is straight: `x / alpha` against
    `sigma / alpha` for VP and EDM models (as diffusers' HeunDiscreteScheduler), `x` against time
    for flow models. On VP models times stay fractional, as they do there.
    """

    @property
    def second_order(self) -> bool:
        return True

    def stages(self, t: Level, s: Level) -> int:
        return 1 if s.sigma == 0.0 else 2

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        return s.alpha.to(x) * guess.x0 + s.sigma.to(x) * guess.eps  # Alg. 1, line 5

    def correct(self, x: Tensor, first: Guess, second: Guess, t: Columns, s: Columns) -> Tensor:
        """Average the slopes at t and s: the trapezoid rule for `y = x / norm`, whose slope is (x0_hat, eps_hat)."""
        x0, eps = 0.5 * (first.x0 + second.x0), 0.5 * (first.eps + second.eps)
        # Alg. 1, line 8
        along_x0 = (s.alpha / s.norm - t.alpha / t.norm).to(x)
        along_eps = (s.sigma / s.norm - t.sigma / t.norm).to(x)
        return s.norm.to(x) * (x / t.norm.to(x) + along_x0 * x0 + along_eps * eps)
