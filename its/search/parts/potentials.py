"""Potentials of FK steering: weights of particles from their rewards on the way (Singhal et al. 2025, 2501.06848)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Self

POTENTIALS = ("diff", "max", "add", "rt")


@dataclass(frozen=True)
class Lineage:
    """The rewards of a particle and of its ancestors, summed up as a weight.

    Attributes:
        highest, total: maximum and sum of its rewards.
        target: logarithm of the product of its potentials; `paid` what that was when it was last resampled.
    """

    highest: float = -inf
    total: float = 0.0
    target: float = 0.0
    paid: float = 0.0

    @property
    def weight(self) -> float:
        """Return the logarithm of the weight; minus infinity is weight zero."""
        return self.target - self.paid

    def grown(self, potential: str, strength: float, reward: float) -> Self:
        """Return the lineage after one more reward; `diff` telescopes, so that only the latest reward counts."""
        highest, total = max(self.highest, reward), self.total + reward
        score = {"diff": reward, "rt": reward, "max": highest, "add": total}[potential]
        log = strength * score if strength else 0.0
        return replace(self, highest=highest, total=total, target=log + (0.0 if potential == "diff" else self.target))

    def settled(self) -> Self:
        """Return the lineage after resampling, with weight 1; where all had weight zero, its history starts over."""
        return type(self)() if self.target == -inf else replace(self, paid=self.target)
