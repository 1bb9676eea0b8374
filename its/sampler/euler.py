"""Euler's method for the probability-flow ODE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.levels import Columns, Guess
from its.sampler.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Euler(Sampler):
    """A straight step along the slope at t.

    A constant slope means constant x0_hat and eps_hat on every path that is linear in them, so that a flow
    model's `x + (s - t)(eps_hat - x0_hat)` and a VP model's DDIM step are the same line of code.
    """

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        return s.alpha.to(x) * guess.x0 + s.sigma.to(x) * guess.eps
