"""Manifold-preserving guided diffusion (He et al. 2023, arXiv:2311.16424), without its auto-encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look, Needs
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.sight import Sight


@dataclass(frozen=True)
class MPGD(Guidance):
    """Move x0_hat up the guide's score; no gradient passes the network."""

    strength: float = 1.0

    def __post_init__(self) -> None:
        check(self, strength=0.0)

    @property
    def needs(self) -> Needs:
        return "guess"

    def look(self, sight: Sight) -> Look:
        x0 = sight.guess.x0
        return Look(Guess(x0 + self.strength * sight.slope(x0), sight.guess.eps))
