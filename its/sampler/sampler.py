"""The contract of samplers: a step from level t to level s, on rows that each have their own two levels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

from its import parameters
from its.levels import Columns, Grid, Guess, Level
from its.sampler.noise_paths import MOST_NOISE, NoisePath
from its.sampler.spacing import Spacing

if TYPE_CHECKING:
    from torch import Tensor

Variance = Literal["learned", "fixed_small", "fixed_large"]
"""The variance of ancestral steps: the posterior's (`fixed_small`), the forward kernel's (`fixed_large`; Ho et al.
2020, arXiv:2006.11239, Sec. 3.2), or the network's interpolation of their logs (`learned`; Nichol and Dhariwal 2021,
arXiv:2102.09672, Eq. 15)."""


MOST_SIGNAL = 0.4
"""Share of signal up to which noise alone stands for x_T."""


def signal(level: Level) -> float:
    """Return the share of signal in a row, `alpha / sqrt(alpha^2 + sigma^2)`; on VP that is alpha."""
    return level.alpha / math.hypot(level.alpha, level.sigma)


def is_noise(level: Level) -> bool:
    """Return whether a sampling may begin at a level: noise alone stands for x_T there."""
    return signal(level) <= MOST_SIGNAL


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A number of steps, their spacing, and the rule of one step; subclasses give the rule.

    Attributes:
        steps: steps of one plain sampling, >= 1.
        spacing: `leading`, `trailing`, `linspace`, `quadratic`, `inclusive`, or a list of times.
        noise_parameter: name of the parameter at 0 of which steps draw no noise; None if they never do.
    """

    steps: int
    spacing: Spacing = "trailing"
    noise_parameter: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        parameters.check(self, "sampler", steps=1)
        if not isinstance(self.spacing, str):
            object.__setattr__(self, "spacing", tuple(float(t) for t in self.spacing))

    def path(self, path: NoisePath) -> NoisePath:
        """Return the noise path that states follow: the model's, which every method is given, or one made of it."""
        return path

    def grid(self, path: NoisePath, steps: int | None = None) -> Grid:
        """Lay out the levels of a sampling of a model with this noise path.

        Args:
            steps: default is the sampler's own number.

        Raises:
            ValueError: the spacing is not one of the path's, lists another number of times, or begins where noise
                alone does not stand for x_T.
        """
        levels = self.layout(path, steps)
        if not is_noise(levels[0]):
            raise ValueError(
                f"sampler.spacing={self.spacing} in {steps or self.steps} steps begins at time {levels[0].time:g}, "
                f"where the share of signal is {signal(levels[0]):.3g}; sampling begins with noise alone, which stands "
                f"for x_T up to a share of {MOST_SIGNAL}: choose sampler.spacing=trailing, another sampler.steps, or "
                "list times from a noisier one on"
            )
        return levels

    def remark(self, path: NoisePath) -> str | None:
        """Say where a sampling begins if that is not where its spacing does; None if it is."""
        levels = self.grid(path)
        if len(levels) == self.steps + 1:
            return None
        return (
            f"{type(self).__name__} takes {len(levels) - 1} of {self.steps} steps: it begins at time "
            f"{levels[0].time:g}, the first at which sigma / alpha is at most {MOST_NOISE:g}"
        )

    def layout(self, path: NoisePath, steps: int | None = None) -> Grid:
        """Lay out levels as `grid` does, wherever they begin."""
        if steps is not None and steps != self.steps and not isinstance(self.spacing, str):
            raise ValueError(
                f"sampler.spacing lists {self.steps} times, and {steps} steps are asked for; "
                "name a spacing rule instead"
            )
        count = self.steps if steps is None else steps
        return self.path(path).grid(count, self.spacing, second_order=self.second_order)

    def prior_std(self, path: NoisePath, level: Level) -> float:
        """Return the standard deviation of x_T at the first level of a grid.

        First-order samplers take that of the path, as their originals do; second-order ones take the level's own.
        """
        return level.sigma if self.second_order else self.path(path).prior_std(level)

    def fitted(self, published: Variance) -> Self:
        """Return the sampler as it is for a model that was published with this variance of ancestral steps."""
        return self

    def stages(self, t: Level, s: Level) -> int:
        """Count the network evaluations of the step from t to s."""
        return 1

    @property
    def second_order(self) -> bool:
        """Return whether a step may take two stages."""
        return False

    @property
    def multistep(self) -> bool:
        """Return whether a step may go by the guess that the last one started from, which is kept for it."""
        return False

    def extrapolation(self, last: Level, t: Level, s: Level) -> float:
        """Return how far the step from t to s goes on with x0_hat, in units of its change since the last step.

        That began at `last`, and led to t. The step starts from x0_hat plus so much of the change, and from the
        eps_hat that goes with that: the two make the same x_t as before. Of a multistep sampler only; at 0 the step
        is its first-order one.
        """
        return 0.0

    @property
    def stochastic(self) -> bool:
        """Return whether steps draw noise, so that copies of a particle separate."""
        return self.noise_parameter is not None and getattr(self, self.noise_parameter) > 0.0

    def noisy(self, t: Level, s: Level) -> bool:
        """Return whether the step from t to s draws noise: one that leaves none does not."""
        return self.stochastic and s.sigma > 0.0

    def deterministic(self) -> Sampler:
        """Return the sampler whose steps are these without noise: itself, or at 0 of its `noise_parameter`.

        Raises:
            ValueError: there is no such parameter.
        """
        if not self.stochastic:
            return self
        if self.noise_parameter is None:
            raise ValueError(
                f"{type(self).__name__} has no steps without noise, for no parameter of it says how much they draw; "
                "take sampler=ddim sampler.eta=1, or with a flow model sampler=flow_cps"
            )
        return replace(self, **cast(Any, {self.noise_parameter: 0.0}))

    def noise_std(self, guess: Guess, t: Columns, s: Columns) -> Tensor:
        """Return the standard deviation of the noise of the step from t to s, which broadcasts over rows.

        Where a step draws none it is 0. A sampler that does not say it cannot be twisted.
        """
        raise TypeError(f"{type(self).__name__} does not say the deviation of its noise")

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        """Take rows `x [n, *shape]` from t to s. Of two stages this is the first, which predicts.

        Args:
            z: standard normal rows, which a deterministic sampler is not given.
        """
        raise TypeError(f"{type(self).__name__} has no step")

    def correct(self, x: Tensor, first: Guess, second: Guess, t: Columns, s: Columns) -> Tensor:
        """Take rows from t to s by the guesses at t and at the predicted rows at s: the second stage."""
        raise TypeError(f"{type(self).__name__} steps in one stage")
