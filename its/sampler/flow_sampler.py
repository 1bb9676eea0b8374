"""The contract of samplers that draw noise on linear flow, `x_t = (1 - t) x_0 + t eps`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from its.levels import Columns, Grid, Guess, Level
from its.parameters import Rule
from its.sampler.noise_paths import NoisePath
from its.sampler.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor

NOT_NEGATIVE = Rule("it is a finite number of at least 0", lambda value: 0.0 <= value < math.inf)

ROUNDING = 1e-6
"""Deviation at which a path still obeys the law of linear flow."""


class Weights(NamedTuple):
    """What x0_hat, eps_hat and fresh noise are multiplied by in a step, float64 columns that broadcast over rows."""

    x0: Tensor
    eps: Tensor
    z: Tensor


@dataclass(frozen=True, kw_only=True)
class FlowSampler(Sampler):
    """A step by its weights, `x_s = w x0_hat + c eps_hat + d z`, on linear flow; subclasses give them.

    With `v = eps - x0`, a flow model's output, `x0_hat = x - t v`, `eps_hat = x + (1 - t) v`, and the score is
    `-eps_hat / t`.
    """

    def layout(self, path: NoisePath, steps: int | None = None) -> Grid:
        """Lay out levels as `grid` does, wherever they begin.

        Raises:
            ValueError: the model's path is not linear flow.
        """
        self._check_flow(path)
        return super().layout(path, steps)

    def weights(self, t: Columns, s: Columns) -> Weights:
        """Return the weights of the step from t to s."""
        raise TypeError(f"{type(self).__name__} has no weights")

    def noise_std(self, guess: Guess, t: Columns, s: Columns) -> Tensor:
        """Return the standard deviation of the noise of a step; see `Sampler.noise_std`."""
        return self.weights(t, s).z

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        """Take rows `x [n, *shape]` from t to s; see `Sampler.step`."""
        weights = self.weights(t, s)
        x_s = weights.x0.to(x) * guess.x0 + weights.eps.to(x) * guess.eps
        return x_s if z is None else x_s + weights.z.to(x) * z

    def _check_flow(self, path: NoisePath) -> None:
        """Refuse a path by what its levels are, from the noisiest down: `alpha + sigma = 1` is linear flow."""
        for share in (1.0, 0.75, 0.5, 0.25):
            level = path.level(share * path.noisiest.time)
            if abs(level.alpha + level.sigma - 1.0) > ROUNDING:
                raise ValueError(
                    f"{type(self).__name__} steps on linear flow, where alpha + sigma is 1, and on this model's path "
                    f"it is {level.alpha + level.sigma:.4g} at time {level.time:g}; choose a flow model, or "
                    "sampler=ddim, which steps on any path and with sampler.eta=1 draws noise"
                )


def level_of(path: NoisePath, sigma: float) -> Level:
    """Return the level of a linear flow path by its sigma, to which native time must be in proportion.

    Raises:
        ValueError: it is not.
    """
    top = path.noisiest
    level = path.level(sigma * top.time / top.sigma)
    if abs(level.sigma - sigma) > ROUNDING:
        raise ValueError(
            f"this model's path has sigma {level.sigma:.4g} at time {level.time:g}, and this sampler places levels by "
            f"sigma where native time is in proportion to it, which would be {sigma:.4g} there; choose "
            "sampler=flow_renoise, flow_grpo or flow_cps"
        )
    return level
