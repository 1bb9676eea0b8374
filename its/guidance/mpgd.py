"""Manifold-preserving guided diffusion (He et al. 2023, arXiv:2311.16424), without its auto-encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput, Needs
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class MPGD(Guidance):
    """A move of x0_hat up the guide's score; no gradient passes the network.

    Attributes:
        strength: step of the move, >= 0.
    """

    strength: float = 1.0

    def __post_init__(self) -> None:
        self.check(strength=0.0)

    @property
    def needs(self) -> Needs:
        return "guess"

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Move the clipped x0_hat along the gradient of its score."""
        x0 = inputs.plain.x0
        return GuidanceOutput(Guess(x0 + self.strength * inputs.gradient(x0), inputs.guess.eps))
