"""The DDIM sampler (Song et al. 2020, arXiv:2010.02502), from deterministic to ancestral."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from its.levels import Columns, Guess, ancestral_variance, forward_variance
from its.sampler.sampler import Sampler, Variance

if TYPE_CHECKING:
    from torch import Tensor

LEAST_VARIANCE = 1e-20
"""In place of a variance of zero, of which there is no log."""


@dataclass(frozen=True, kw_only=True)
class DDIM(Sampler):
    """A step by Eq. 12 on any path: `x_s = alpha_s x0_hat + sqrt(sigma_s^2 - v) eps_hat + sqrt(v) z`.

    Attributes:
        eta: 0 is the ODE, 1 is ancestral sampling (DDPM).
        variance: of the noise of ancestral steps, whose mean stays that of Eq. 12; `checkpoint` is what the model was
            published with at eta 1, and `fixed_small`, which is Eq. 16's v, below.
    """

    eta: float = 0.5
    variance: Variance | Literal["checkpoint"] = "checkpoint"
    noise_parameter: ClassVar[str | None] = "eta"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.eta <= 1.0:
            raise ValueError(f"sampler.eta is {self.eta}; it lies between 0 (deterministic) and 1 (ancestral)")
        if self.variance in ("learned", "fixed_large") and self.eta != 1.0:
            raise ValueError(
                f"sampler.variance={self.variance} is a variance of ancestral steps, and sampler.eta is {self.eta}; "
                "set sampler.eta=1, or sampler.variance=checkpoint"
            )

    def fitted(self, published: Variance) -> Self:
        """Return the sampler with a variance, where it is left to the checkpoint.

        Args:
            published: the model's.

        Raises:
            ValueError: a learned one is asked for, and the network has learned none.
        """
        if self.variance == "learned" != published:
            raise ValueError(
                "sampler.variance=learned, and this model's network predicts no variance; "
                "set sampler.variance=fixed_small or fixed_large"
            )
        if self.variance != "checkpoint":
            return self
        return replace(self, variance=published if self.eta == 1.0 else "fixed_small")

    def deterministic(self) -> Self:
        """Return it at eta 0, where no variance is left to choose; see `Sampler.deterministic`."""
        return replace(self, eta=0.0, variance="fixed_small")

    def noise_std(self, guess: Guess, t: Columns, s: Columns) -> Tensor:
        """Return the standard deviation of the noise of a step; see `Sampler.noise_std`."""
        return self._std(guess, t, s, ancestral_variance(t, s, self.eta)).where(s.sigma > 0.0, 0.0)

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        """Take rows `x [n, *shape]` from t to s; see `Sampler.step`."""
        v = ancestral_variance(t, s, self.eta)  # Eq. 16
        # Eq. 12
        x_s = s.alpha.to(x) * guess.x0 + (s.sigma**2 - v).clamp(min=0.0).sqrt().to(x) * guess.eps
        return x_s if z is None else x_s + self._std(guess, t, s, v).to(x) * z

    def _std(self, guess: Guess, t: Columns, s: Columns, v: Tensor) -> Tensor:
        """Return the standard deviation of the noise."""
        if self.variance == "fixed_large":
            return forward_variance(s, t).sqrt()
        if self.variance != "learned":
            return v.sqrt()
        assert guess.share is not None, "fitted refuses it"
        small, large = (each.clamp(min=LEAST_VARIANCE).log() for each in (v, forward_variance(s, t)))
        return (0.5 * (small + guess.share * (large - small))).exp()
