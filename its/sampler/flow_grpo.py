"""Flow-GRPO's stochastic sampler of flow models (Liu et al. 2025, arXiv:2505.05470), as in its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from its import parameters
from its.levels import Columns, Level
from its.sampler.flow_sampler import NOT_NEGATIVE, FlowSampler, Weights


@dataclass(frozen=True, kw_only=True)
class FlowGRPO(FlowSampler):
    """Euler-Maruyama on the SDE of diffusion `b = a sqrt(t / (1 - t))`, which has the marginals of the flow.

    Its code takes s for t = 1 below the fraction bar, the second level of its grid, where b would be infinite. It
    draws in the last step too, so that an image keeps noise of deviation `b sqrt(t)`, t the level of that step: 0.074
    after the last of 10 even steps.

    Attributes:
        noise_level: a; 0 is Euler's method.
    """

    noise_level: float = 0.7
    noise_parameter: ClassVar[str | None] = "noise_level"

    def __post_init__(self) -> None:
        super().__post_init__()
        parameters.check(self, "sampler", noise_level=NOT_NEGATIVE)

    def noisy(self, t: Level, s: Level) -> bool:
        """Return whether the step from t to s draws noise: the one into an image does as well."""
        return self.stochastic

    def weights(self, t: Columns, s: Columns) -> Weights:
        # Times t, so that a step may start anywhere: the fraction b^2 / t.
        rate = self.noise_level**2 / (1.0 - s.sigma.where(t.sigma == 1.0, t.sigma))
        down = t.sigma - s.sigma
        return Weights(s.alpha, s.sigma - 0.5 * rate * down, (rate * t.sigma * down).sqrt())
