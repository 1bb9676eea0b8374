"""Classifier guidance (Dhariwal and Nichol 2021, arXiv:2105.05233, Alg. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from its.guidance.guidance import Guidance, GuidanceOutput, Needs

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput
    from its.levels import Level


@dataclass(frozen=True)
class CG(Guidance):
    """A tilt of eps_hat by `strength` sqrt(1 - abar) times the gradient of log p(y | x_t, t) at x_t.

    Attributes:
        strength: >= 0; 1 samples the posterior.
    """

    strength: float = 1.0
    noise_aware: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check(strength=0.0)

    @property
    def needs(self) -> Needs:
        return "guess"

    def divides_by(self, t: Level) -> float:
        return t.alpha

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Tilt eps_hat by Alg. 2."""
        gradient = inputs.gradient(inputs.x)
        eps = inputs.guess.eps - self.strength * (1.0 - inputs.abar).sqrt() * gradient
        return GuidanceOutput(inputs.guess_of(eps))
