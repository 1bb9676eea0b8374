"""Diffusion posterior sampling (Chung et al. 2022, arXiv:2209.14687), for a log-score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class DPS(Guidance):
    """A shift after the step: `strength` times the gradient of f(x0_hat) through the network, divided by |f|.

    x0_hat is not clipped. A score of exactly 0, which cannot rise, shifts nothing; Ye et al.'s code divides by it.

    Attributes:
        strength: >= 0.
    """

    strength: float = 1.0

    def __post_init__(self) -> None:
        self.check(strength=0.0)

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Shift the row along the normalised gradient of its score."""
        x0 = inputs.guess.x0
        score = inputs.score(x0)
        size = score.detach().abs()
        gradient = inputs.gradient_at_x(score, (size > 0) / size.where(size > 0, size.new_ones(())))
        return GuidanceOutput(Guess(x0.detach(), inputs.guess.eps.detach()), self.strength * gradient)
