"""The DDIM sampler (Song et al. 2020, arXiv:2010.02502), from deterministic to ancestral."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.levels import Columns, Guess, ancestral_variance
from its.sampler.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class DDIM(Sampler):
    """A step by Eq. 12 on any path: `x_s = alpha_s x0_hat + sqrt(sigma_s^2 - v) eps_hat + sqrt(v) z`.

    Attributes:
        eta: 0 is the ODE, 1 is ancestral sampling (DDPM).
    """

    eta: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.eta <= 1.0:
            raise ValueError(f"sampler.eta is {self.eta}; it lies between 0 (deterministic) and 1 (ancestral)")

    @property
    def stochastic(self) -> bool:
        return self.eta > 0.0

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        """Take rows `x [n, *shape]` from t to s; see `Sampler.step`."""
        v = ancestral_variance(t, s, self.eta)  # Eq. 16
        # Eq. 12
        x_s = s.alpha.to(x) * guess.x0 + (s.sigma**2 - v).clamp(min=0.0).sqrt().to(x) * guess.eps
        return x_s if z is None else x_s + v.sqrt().to(x) * z
