"""SiT's stochastic sampler of flow models (Ma et al. 2024, arXiv:2401.08740), as in its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from its import parameters
from its.levels import Columns, Grid
from its.parameters import Rule
from its.sampler.flow_sampler import NOT_NEGATIVE, FlowSampler, Weights, level_of
from its.sampler.noise_paths import NoisePath
from its.sampler.spacing import Spacing


@dataclass(frozen=True, kw_only=True)
class SiTSDE(FlowSampler):
    """Euler-Maruyama on the SDE of diffusion `w = norm t`, then a last step without noise along its drift (`Mean`).

    Attributes:
        steps: evaluations, >= 2: all but the last are Euler-Maruyama's.
        spacing: `linspace`, equal distances of t from 1 to `last_step`; or a list of times, the last of which takes
            the place of `last_step`.
        last_step: size of the last step, and t where it begins.
        diffusion_norm: 0 is Euler's method.
    """

    spacing: Spacing = "linspace"
    last_step: float = 0.04
    diffusion_norm: float = 1.0
    noise_parameter: ClassVar[str | None] = "diffusion_norm"

    def __post_init__(self) -> None:
        super().__post_init__()
        inside = Rule("it lies between 0 and 1, both left out", lambda value: 0.0 < value < 1.0)
        parameters.check(self, "sampler", steps=2, last_step=inside, diffusion_norm=NOT_NEGATIVE)
        if isinstance(self.spacing, str) and self.spacing != "linspace":
            raise ValueError(
                f"sampler.spacing is {self.spacing!r}; SiTSDE takes linspace, equal distances from t = 1 to "
                "sampler.last_step, or a list of times"
            )

    def layout(self, path: NoisePath, steps: int | None = None) -> Grid:
        """Lay out levels; see `FlowSampler.layout`. By rule they are SiT's, without the path's shift.

        Raises:
            ValueError: the model's path is not linear flow, or there is no step but the last.
        """
        count = self.steps if steps is None else steps
        if count < 2:
            raise ValueError(f"{count} step is asked for, and SiTSDE takes at least 2: one, and the last")
        if not isinstance(self.spacing, str):
            return super().layout(path, steps)
        self._check_flow(path)
        times = np.linspace(path.noisiest.sigma, self.last_step, count)
        return tuple(level_of(path, float(t)) for t in (*times, 0.0))

    def weights(self, t: Columns, s: Columns) -> Weights:
        # w times the score is -norm eps_hat.
        drift = self.diffusion_norm * (t.sigma - s.sigma)
        noise = (2.0 * drift * t.sigma).sqrt()
        return Weights(s.alpha, s.sigma - drift, noise.where(s.sigma > 0.0, 0.0))
