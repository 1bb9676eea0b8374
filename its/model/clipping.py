"""The rule by which a model's guess is clipped."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from its.levels import Columns, Guess


@dataclass(frozen=True)
class Clipping:
    """The rule by which a model's guess is clipped where no guidance takes it: for plain steps and rewards of guesses.

    Attributes:
        limit: x0_hat is clamped to [-limit, limit]; None leaves it.
        rederive_eps: give eps_hat what x0_hat loses, so that `x_t = alpha x0_hat + sigma eps_hat` still holds
            (diffusers' `use_clipped_model_output`); otherwise eps_hat stays the network's.
    """

    limit: float | None = None
    rederive_eps: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and not self.limit > 0:
            raise ValueError(f"model.clip is {self.limit}; it is above 0, or null to clip nothing")

    def __call__(self, guess: Guess, levels: Columns) -> Guess:
        """Return the guess that a step without guidance takes."""
        if self.limit is None:
            return guess
        x0 = self.clamp(guess.x0)
        if not self.rederive_eps:
            return guess._replace(x0=x0)
        return guess._replace(x0=x0, eps=guess.eps + (levels.alpha / levels.sigma).to(x0) * (guess.x0 - x0))

    def clamp(self, x0: Tensor) -> Tensor:
        """Return x0_hat as verifiers see it."""
        return x0 if self.limit is None else x0.clamp(-self.limit, self.limit)
