"""Renoising on flow models: diffusers' FlowMatchEulerDiscreteScheduler with `stochastic_sampling`."""

from __future__ import annotations

from dataclasses import dataclass

from its.levels import Columns
from its.sampler.flow_sampler import FlowSampler, Weights


@dataclass(frozen=True, kw_only=True)
class FlowRenoise(FlowSampler):
    """The guess noised afresh, `x_s = (1 - s) x0_hat + s z`: every step forgets the noise before it."""

    @property
    def stochastic(self) -> bool:
        return True

    def weights(self, t: Columns, s: Columns) -> Weights:
        return Weights(s.alpha, 0.0 * s.sigma, s.sigma)
