"""Multistep consistency sampling (Song et al. 2023, arXiv:2303.01469, Alg. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.levels import Columns, Guess
from its.sampler.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Consistency(Sampler):
    """The guess noised afresh on any path, `x_s = alpha_s x0_hat + sigma_s z`: every step forgets the noise before it.

    On linear flow it is `flow_renoise`. The steps of diffusers' LCMScheduler and SCMScheduler are these.
    """

    @property
    def stochastic(self) -> bool:
        return True

    def noise_std(self, guess: Guess, t: Columns, s: Columns) -> Tensor:
        return s.sigma

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        x_s = s.alpha.to(x) * guess.x0
        return x_s if z is None else x_s + s.sigma.to(x) * z
