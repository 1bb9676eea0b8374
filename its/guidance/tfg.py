"""Training-free guidance (Ye et al. 2024, arXiv:2409.15761), the local search of Zhang et al. (2505.23614)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput, Needs
from its.guidance.trend import Trend
from its.levels import Columns, Guess, Level

if TYPE_CHECKING:
    from torch import Tensor

    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class TFG(Guidance):
    """An ascent of the guide's score in x0_hat and, through the network, in x_t.

    With rho = mu = 0 it is the plain sampler, taken `recurrence` times.

    Attributes:
        rho: strength of the gradient through the network, Delta_t.
        mu: step of each of `iterations` ascents of x0_hat, Delta_0.
        sigma: standard deviation of the Monte-Carlo draws that smooth the score; 0 takes the score itself.
        samples: number of those draws.
        recurrence: number of times that each step is taken.
        rho_trend, mu_trend: courses of rho and mu over a sampling, each of mean 1.
        sigma_trend: `decrease` multiplies sigma by sqrt(1 - abar); `constant` leaves it.
    """

    rho: float = 1.0
    mu: float = 0.25
    sigma: float = 0.001
    samples: int = 1
    iterations: int = 4
    recurrence: int = 1
    rho_trend: Trend = "increase"
    mu_trend: Trend = "increase"
    sigma_trend: Trend = "decrease"

    def __post_init__(self) -> None:
        self.check(
            rho=0.0,
            mu=0.0,
            sigma=0.0,
            samples=1,
            iterations=0,
            recurrence=1,
            sigma_trend=("decrease", "constant"),
        )

    @property
    def ascents(self) -> int:
        """The number of ascents that change x0_hat."""
        return self.iterations if self.mu else 0

    @property
    def needs(self) -> Needs:
        return "network" if self.rho else "guess" if self.ascents else "nothing"

    @property
    def rounds(self) -> int:
        return self.recurrence

    @property
    def num_draws(self) -> int:
        return self.samples if self.sigma else 0

    @property
    def calls(self) -> int:
        return max(1, self.ascents) * max(1, self.num_draws)

    def divides_by(self, t: Level) -> float:
        return t.norm if self.rho else 1.0

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Guide rows by Alg. 1 from the plain step's guess; the gradient there serves Delta_t and the first ascent."""
        # Draw the offsets that smooth the score.
        std = self.sigma * ((1.0 - inputs.abar).sqrt() if self.sigma_trend == "decrease" else inputs.abar**0)
        offsets = inputs.offsets(self.num_draws, std)

        # Carry the gradient at x0_hat back to x_t: Delta_t.
        x0 = inputs.plain.x0
        y = x0.detach()
        gradient = inputs.gradient(y, offsets)
        shift = (
            self.rho * inputs.trend_weight(self.rho_trend) * inputs.gradient_at_x(x0, gradient) if self.rho else None
        )

        # Ascend in x0_hat: Delta_0.
        for ascent in range(self.ascents):
            gradient = inputs.gradient(y, offsets) if ascent else gradient
            y = y + self.mu * inputs.trend_weight(self.mu_trend) * gradient
        return GuidanceOutput(Guess(y, inputs.plain.eps.detach()), shift)

    def shift_scale(self, t: Columns, s: Columns) -> Tensor | float:
        """Return 1 / sqrt(abar_t / abar_s) on VP paths."""
        return s.norm / t.norm
