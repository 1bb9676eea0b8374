"""Coefficients-preserving sampling of flow models (Flow-CPS, Wang and Yu 2025, arXiv:2509.05952)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from its import parameters
from its.levels import Columns
from its.parameters import Rule
from its.sampler.flow_sampler import FlowSampler, Weights


@dataclass(frozen=True, kw_only=True)
class FlowCPS(FlowSampler):
    """DDIM's formula with a share of the noise drawn afresh: of deviation `s sin(a pi / 2)`, the rest is eps_hat's.

    Attributes:
        noise_level: a, in [0, 1]: 0 is Euler's method, 1 is `flow_renoise`. 0.8 is that of Flow-GRPO's configurations
            with `sde_type=cps`.
    """

    noise_level: float = 0.8
    noise_parameter: ClassVar[str | None] = "noise_level"

    def __post_init__(self) -> None:
        super().__post_init__()
        parameters.check(self, "sampler", noise_level=Rule("it lies in [0, 1]", lambda value: 0.0 <= value <= 1.0))

    def weights(self, t: Columns, s: Columns) -> Weights:
        angle = self.noise_level * math.pi / 2
        return Weights(s.alpha, math.cos(angle) * s.sigma, math.sin(angle) * s.sigma)
