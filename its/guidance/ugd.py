"""Universal guidance (Bansal et al. 2023, arXiv:2302.07121), as Ye et al. (arXiv:2409.15761) compare it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput
    from its.levels import Level


@dataclass(frozen=True)
class UGD(Guidance):
    """A tilt of eps_hat by the gradient through the network (forward guidance) and by ascents of x0_hat (backward).

    Attributes:
        strength: of both, >= 0.
        iterations: 1 is forward guidance alone, the default of Ye et al.'s code; each more is one ascent.
        recurrence: number of times that each step is taken.
    """

    strength: float = 1.0
    iterations: int = 1
    recurrence: int = 1

    def __post_init__(self) -> None:
        self.check(strength=0.0, iterations=1, recurrence=1)

    @property
    def rounds(self) -> int:
        return self.recurrence

    @property
    def calls(self) -> int:
        return self.iterations

    def divides_by(self, t: Level) -> float:
        return t.alpha

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Tilt eps_hat forward, then backward."""
        # Forward guidance: tilt eps_hat by the gradient at x_t.
        gradient = inputs.gradient_at_x(inputs.score(inputs.guess.x0))
        eps = inputs.guess.eps.detach() - self.strength * (1.0 - inputs.abar).sqrt() * gradient

        # Backward guidance: ascend in x0_hat, and let eps_hat follow.
        y = x0 = inputs.plain.x0.detach()
        for _ in range(self.iterations - 1):
            y = y + self.strength * inputs.gradient(y)
        return GuidanceOutput(inputs.guess_of(eps - (inputs.abar / (1.0 - inputs.abar)).sqrt() * (y - x0)))
