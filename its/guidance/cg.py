"""Classifier guidance (Dhariwal and Nichol 2021, arXiv:2105.05233, Alg. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look, Needs

if TYPE_CHECKING:
    from its.guidance.sight import Sight


@dataclass(frozen=True)
class CG(Guidance):
    """Tilt eps_hat by `strength` sqrt(1 - abar) times the gradient of log p(y | x_t, t) at x_t."""

    strength: float = 1.0
    noise_aware: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check(self, strength=0.0)

    @property
    def needs(self) -> Needs:
        return "guess"

    def look(self, sight: Sight) -> Look:
        slope = sight.slope(sight.x)
        return Look(sight.tilted(sight.guess.eps - self.strength * (1.0 - sight.abar).sqrt() * slope))
