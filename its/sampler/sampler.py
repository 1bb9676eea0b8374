"""The contract of samplers: a step from level t to level s, on rows that each have their own two levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from its import parameters
from its.levels import Columns, Grid, Guess, Level
from its.sampler.noise_paths import NoisePath
from its.sampler.spacing import Spacing

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """A number of steps, their spacing, and the rule of one step; subclasses give the rule.

    Attributes:
        steps: steps of one plain sampling, >= 1.
        spacing: `leading`, `trailing`, `linspace`, `quadratic`, `inclusive`, or a list of times.
    """

    steps: int
    spacing: Spacing = "trailing"
    whole_times: ClassVar[bool] = True

    def __post_init__(self) -> None:
        parameters.check(self, "sampler", steps=1)
        if not isinstance(self.spacing, str):
            object.__setattr__(self, "spacing", tuple(float(t) for t in self.spacing))

    def grid(self, path: NoisePath, steps: int | None = None) -> Grid:
        """Lay out the levels of a sampling along a noise path.

        Args:
            steps: default is the sampler's own number.

        Raises:
            ValueError: the spacing is not one of the path's, or lists another number of times.
        """
        if steps is not None and steps != self.steps and not isinstance(self.spacing, str):
            raise ValueError(
                f"sampler.spacing lists {self.steps} times, and {steps} steps are asked for; "
                "name a spacing rule instead"
            )
        return path.grid(self.steps if steps is None else steps, self.spacing, whole=self.whole_times)

    def stages(self, t: Level, s: Level) -> int:
        """Count the network evaluations of the step from t to s."""
        return 1

    @property
    def second_order(self) -> bool:
        """Return whether a step may take two stages."""
        return False

    @property
    def stochastic(self) -> bool:
        """Return whether steps draw noise, so that copies of a particle separate."""
        return False

    def noisy(self, t: Level, s: Level) -> bool:
        """Return whether the step from t to s draws noise: one that ends clean does not."""
        return self.stochastic and not s.clean

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        """Take rows `x [n, *shape]` from t to s. Of two stages this is the first, which predicts.

        Args:
            z: standard normal rows, which a deterministic sampler is not given.
        """
        raise TypeError(f"{type(self).__name__} has no step")

    def correct(self, x: Tensor, first: Guess, second: Guess, t: Columns, s: Columns) -> Tensor:
        """Take rows from t to s by the guesses at t and at the predicted rows at s: the second stage."""
        raise TypeError(f"{type(self).__name__} steps in one stage")
