"""Universal guidance (Bansal et al. 2023, arXiv:2302.07121), as Ye et al. (arXiv:2409.15761) compare it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look

if TYPE_CHECKING:
    from its.guidance.sight import Sight


@dataclass(frozen=True)
class UGD(Guidance):
    """Forward guidance tilts eps_hat by the gradient through the network, backward guidance by ascents of x0_hat.

    Attributes:
        strength: of both.
        iterations: 1 is forward guidance alone, the default of Ye et al.'s code; each more is one ascent.
        recurrence: times that each step is taken.
    """

    strength: float = 1.0
    iterations: int = 1
    recurrence: int = 1

    def __post_init__(self) -> None:
        check(self, strength=0.0, iterations=1, recurrence=1)

    @property
    def rounds(self) -> int:
        return self.recurrence

    @property
    def calls(self) -> int:
        return self.iterations

    def look(self, sight: Sight) -> Look:
        score = sight.score(sight.unclipped)
        slope = sight.pulled_back(score, score.new_ones(()).expand_as(score))
        eps = sight.guess.eps.detach() - self.strength * (1.0 - sight.abar).sqrt() * slope
        y = x0 = sight.guess.x0.detach()
        for _ in range(self.iterations - 1):
            y = y + self.strength * sight.slope(y)
        return Look(sight.tilted(eps - (sight.abar / (1.0 - sight.abar)).sqrt() * (y - x0)))
