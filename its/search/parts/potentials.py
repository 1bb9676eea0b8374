"""Potentials of FK steering: how rewards along its way weigh a particle (Singhal et al. 2025, arXiv:2501.06848)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Self

POTENTIALS = ("diff", "max", "add", "rt")


@dataclass(frozen=True)
class Lineage:
    """A particle's past.

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
        """Logarithm of its weight; minus infinity is none."""
        return self.target - self.paid

    def grown(self, potential: str, strength: float, reward: float) -> Self:
        """After one more reward. `diff` telescopes: its product is the latest reward's, whatever came before."""
        highest, total = max(self.highest, reward), self.total + reward
        score = {"diff": reward, "rt": reward, "max": highest, "add": total}[potential]
        log = strength * score if strength else 0.0
        return replace(self, highest=highest, total=total, target=log + (0.0 if potential == "diff" else self.target))

    def settled(self) -> Self:
        """After resampling, when weights are equal; one of weight zero among nothing else begins anew."""
        return type(self)() if self.target == -inf else replace(self, paid=self.target)
