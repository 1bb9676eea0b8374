"""Diffusion posterior sampling (Chung et al. 2022, arXiv:2209.14687), for a log-score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.sight import Sight


@dataclass(frozen=True)
class DPS(Guidance):
    """After the step, add `strength` times the gradient of f(x0_hat) through the network, divided by |f|.

    x0_hat is not clipped. A score of exactly 0, which cannot rise, pushes nowhere; Ye et al.'s code divides by it.
    """

    strength: float = 1.0

    def __post_init__(self) -> None:
        check(self, strength=0.0)

    def look(self, sight: Sight) -> Look:
        x0 = sight.unclipped
        score = sight.score(x0)
        size = score.detach().abs()
        slope = sight.pulled_back(score, (size > 0) / size.where(size > 0, size.new_ones(())))
        return Look(Guess(x0.detach(), sight.guess.eps.detach()), self.strength * slope)
