"""What a sampler is: a step from level t to level s on rows that each have their own two levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from its.levels import Columns, Grid, Guess, Level, Schedule

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Steps, their spacing, and the rule of one step.

    Attributes:
        steps: steps of one plain sampling, >= 1.
        spacing: `leading`, `trailing`, `linspace`, `quadratic`, `inclusive`, or a list of times.
    """

    steps: int
    spacing: str | Sequence[float] = "trailing"
    whole_times: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 1:
            raise ValueError(f"sampler.steps is {self.steps}; it is a whole number of at least 1")
        if not isinstance(self.spacing, str):
            object.__setattr__(self, "spacing", tuple(float(t) for t in self.spacing))

    def grid(self, schedule: Schedule, steps: int | None = None) -> Grid:
        """Levels of a sampling in `steps` steps (default: the sampler's own number)."""
        if steps is not None and steps != self.steps and not isinstance(self.spacing, str):
            raise ValueError(
                f"sampler.spacing lists {self.steps} times, and {steps} steps are asked for; "
                "name a spacing rule instead"
            )
        return schedule.grid(self.steps if steps is None else steps, self.spacing, whole=self.whole_times)

    def stages(self, t: Level, s: Level) -> int:
        """Network evaluations of the step from t to s."""
        return 1

    @property
    def second_order(self) -> bool:
        """Whether a step may take two stages."""
        return False

    @property
    def stochastic(self) -> bool:
        """Whether steps draw noise, so that copies of a particle separate."""
        return False

    def noisy(self, t: Level, s: Level) -> bool:
        """Whether this very step draws noise: one that ends clean does not."""
        return self.stochastic and not s.clean

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        """Rows at s from rows `x [n, ...]` at t. The first of two stages predicts; `correct` ends."""
        raise TypeError(f"{type(self).__name__} has no step")

    def correct(self, x: Tensor, first: Guess, second: Guess, t: Columns, s: Columns) -> Tensor:
        """Rows at s from the guesses at t and at the predicted row at s (two-stage samplers)."""
        raise TypeError(f"{type(self).__name__} steps in one stage")
