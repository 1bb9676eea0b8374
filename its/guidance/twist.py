"""Twisted proposals (Wu et al. 2023, arXiv:2306.17775; tempered: Kim et al. 2025, arXiv:2501.05803).

A twisted search brings this guidance along and weighs by the same `weight`; it is no choice of `guidance=`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from its.guidance.guidance import Guidance, GuidanceOutput
from its.levels import Guess
from its.parameters import Rule

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class Twist(Guidance):
    """A step whose noise has its mean moved by its variance times the gradient, at x_t, of `weight f(x0_hat)`.

    x0_hat is the guess of the plain step, clipped where the model says so. A step without noise is the plain one.

    Attributes:
        strength: of f, >= 0; 1 / alpha of Kim et al.
        tempering: growth gamma of the weight in each hundredth of the sampling's steps, from 0 up to `strength`, which
            it then keeps; None begins there.
    """

    strength: float = 1.0
    tempering: float | None = None
    twists: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check(strength=0.0, tempering=Rule("it lies in (0, 1]", lambda value: 0.0 < value <= 1.0))

    def weight(self, share: Any) -> Any:
        """Return the factor of the guide's score once a share of the steps is taken: numbers, or an array of them.

        Kim et al. 2025, Sec. 4: `strength min((1 + gamma)^i - 1, 1)` after i of 100 steps, i as a share of others.
        """
        if self.tempering is None:
            return self.strength + 0.0 * share
        return self.strength * np.minimum((1.0 + self.tempering) ** (100.0 * share) - 1.0, 1.0)

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Keep the plain guess, and return the gradient; its weight is that of the level which the step leads to."""
        x0 = inputs.plain.x0
        weight = inputs.column(self.weight((inputs.steps_taken() + 1.0) / inputs.steps))
        gradient = inputs.gradient_at_x(inputs.score(x0))
        return GuidanceOutput(Guess(x0.detach(), inputs.plain.eps.detach()), weight * gradient)
