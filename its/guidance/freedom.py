"""FreeDoM (Yu et al. 2023, arXiv:2303.09833), as Ye et al. (arXiv:2409.15761) compare it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.sight import Sight, Trend


@dataclass(frozen=True)
class FreeDoM(Guidance):
    """After the step, add the gradient of f(x0_hat) through the network, `strength` times its schedule; and recur.

    Attributes:
        trend: of the strength over a sampling, with mean 1.
        recurrence: times that each step is taken.
    """

    strength: float = 1.0
    recurrence: int = 1
    trend: Trend = "increase"

    def __post_init__(self) -> None:
        check(self, strength=0.0, recurrence=1)

    @property
    def rounds(self) -> int:
        return self.recurrence

    def look(self, sight: Sight) -> Look:
        x0 = sight.unclipped
        score = sight.score(x0)
        slope = sight.pulled_back(score, score.new_ones(()).expand_as(score))
        return Look(Guess(x0.detach(), sight.guess.eps.detach()), self.strength * sight.share(self.trend) * slope)
