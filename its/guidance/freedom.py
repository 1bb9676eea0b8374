"""FreeDoM (Yu et al. 2023, arXiv:2303.09833), as Ye et al. (arXiv:2409.15761) compare it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput
from its.guidance.trend import Trend
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class FreeDoM(Guidance):
    """A shift after the step, which is taken several times: `strength` times the gradient of f(x0_hat) at x_t.

    Attributes:
        strength: >= 0.
        recurrence: number of times that each step is taken.
        trend: course of the strength over a sampling, of mean 1.
    """

    strength: float = 1.0
    recurrence: int = 1
    trend: Trend = "increase"

    def __post_init__(self) -> None:
        self.check(strength=0.0, recurrence=1)

    @property
    def rounds(self) -> int:
        return self.recurrence

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Shift the row along the gradient of its score."""
        x0 = inputs.guess.x0
        score = inputs.score(x0)
        shift = self.strength * inputs.trend_weight(self.trend) * inputs.gradient_at_x(score)
        return GuidanceOutput(Guess(x0.detach(), inputs.guess.eps.detach()), shift)
