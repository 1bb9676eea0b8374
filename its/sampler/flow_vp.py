"""Flow models sampled on a variance-preserving path, as RBF needs (Kim et al. 2025, arXiv:2503.19385), as in its code.

States `x = alpha x_0 + sigma eps` lie on the VP path of time r; divided by alpha + sigma they lie on the model's own,
at `t' = sigma / (alpha + sigma)`, where it is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from its import parameters
from its.levels import Columns, Grid, Level
from its.sampler.flow_sampler import NOT_NEGATIVE, FlowSampler, Weights, level_of
from its.sampler.noise_paths import NoisePath
from its.sampler.spacing import Spacing, checked_times

BETA_MIN, BETA_MAX = 0.1, 20.0
"""`alpha = exp(-T / 2)`, and `T = (BETA_MAX - BETA_MIN) r^2 / 2 + BETA_MIN r` (Song et al. 2021, arXiv:2011.13456)."""


@dataclass(frozen=True, kw_only=True)
class FlowVP(FlowSampler):
    """Euler-Maruyama in r on the reverse SDE of diffusion `g = norm r^2`; the last step gives x0_hat.

    Attributes:
        spacing: of r: `exp`, RBF's `sqrt(1 - (k / steps)^2)`; `linear`, `1 - k / steps`; or a list of r.
        diffusion_norm: 0 is Euler's method on that path.
    """

    spacing: Spacing = "exp"
    diffusion_norm: float = 3.0
    noise_parameter: ClassVar[str | None] = "diffusion_norm"

    def __post_init__(self) -> None:
        super().__post_init__()
        parameters.check(self, "sampler", diffusion_norm=NOT_NEGATIVE)

    def path(self, path: NoisePath) -> NoisePath:
        return VPOfFlow(path)

    def weights(self, t: Columns, s: Columns) -> Weights:
        # Derivatives by r at t.
        r, clean = time_of(t.alpha), s.sigma == 0.0
        half = 0.5 * ((BETA_MAX - BETA_MIN) * r + BETA_MIN)
        d_alpha, d_sigma = -half * t.alpha, half * t.alpha**2 / t.sigma

        # Down by dr, along them and the score -eps_hat / sigma.
        dr, g = r - time_of(s.alpha), self.diffusion_norm * r**2
        x0 = t.alpha - d_alpha * dr
        eps = t.sigma - d_sigma * dr - 0.5 * g**2 * dr / t.sigma
        return Weights(x0.where(~clean, 1.0), eps.where(~clean, 0.0), (g * dr.sqrt()).where(~clean, 0.0))


def time_of(alpha: Any) -> Any:
    """Return r by alpha, a float64 column."""
    slope = BETA_MAX - BETA_MIN
    return ((BETA_MIN**2 - 4.0 * slope * alpha.log()).sqrt() - BETA_MIN) / slope


@dataclass(frozen=True)
class VPOfFlow:
    """The VP path of a flow model; native time is the model's own, so that its network is asked where it was trained.

    Attributes:
        flow: the model's path.
    """

    flow: NoisePath

    @property
    def most_steps(self) -> int:
        return self.flow.most_steps

    @property
    def listable(self) -> tuple[float, ...]:
        """The values of r of the longest sampling, evenly spaced."""
        return tuple(k / self.most_steps for k in range(self.most_steps, 0, -1))

    @property
    def noisiest(self) -> Level:
        return self._at(1.0)

    def prior_std(self, level: Level) -> float:
        return 1.0

    def level(self, time: float) -> Level:
        """Return the level at a native time of the model."""
        flow = self.flow.level(time)
        size = math.hypot(flow.alpha, flow.sigma)
        alpha, sigma = flow.alpha / size, flow.sigma / size
        return Level(alpha, sigma, flow.time, scale=1.0 / (alpha + sigma), norm=alpha)

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        """Lay out levels by r; see `NoisePath.grid`."""
        listable = self.listable
        if not isinstance(spacing, str):
            times = checked_times(spacing, steps, listable[-1], 1.0)
        elif spacing not in ("exp", "linear"):
            raise ValueError(f"sampler.spacing is {spacing!r}; FlowVP takes exp (RBF's), linear, or a list of r")
        elif not 1 <= steps <= len(listable):
            raise ValueError(f"steps is {steps}; it lies between 1 and {len(listable)}")
        else:
            k = np.arange(steps) / steps
            times = np.sqrt(1.0 - k**2) if spacing == "exp" else 1.0 - k
        return (*(self._at(float(r)) for r in times), self.level(0.0))

    def _at(self, r: float) -> Level:
        """Return the level at r."""
        growth = 0.5 * (BETA_MAX - BETA_MIN) * r**2 + BETA_MIN * r
        alpha, sigma = math.exp(-0.5 * growth), math.sqrt(-math.expm1(-growth))
        return self.level(level_of(self.flow, sigma / (alpha + sigma)).time)
