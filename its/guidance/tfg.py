"""Training-free guidance (Ye et al. 2024, arXiv:2409.15761), the local search of Zhang et al. (2505.23614)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look, Needs
from its.levels import Columns, Guess

if TYPE_CHECKING:
    from torch import Tensor

    from its.guidance.sight import Sight, Trend


@dataclass(frozen=True)
class TFG(Guidance):
    """Ascend the guide's score in x0_hat and, through the network, in x_t.

    With rho = mu = 0 it is the plain sampler, taken `recurrence` times.

    Attributes:
        rho: strength of the gradient through the network, Delta_t.
        mu: step of each of `iterations` ascents of x0_hat, Delta_0.
        sigma: deviation of the Monte-Carlo draws that smooth the score; 0 takes the score itself.
        samples: of those draws.
        recurrence: times that each step is taken.
        rho_trend, mu_trend: schedules, each of mean 1 over a sampling.
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
        check(self, rho=0.0, mu=0.0, sigma=0.0, samples=1, iterations=0, recurrence=1)
        for name, choices in (
            ("rho_trend", ("increase", "decrease", "constant")),
            ("mu_trend", ("increase", "decrease", "constant")),
            ("sigma_trend", ("decrease", "constant")),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"guidance.{name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}")

    @property
    def ascents(self) -> int:
        """Ascents of x0_hat that change it."""
        return self.iterations if self.mu else 0

    @property
    def needs(self) -> Needs:
        return "network" if self.rho else "guess" if self.ascents else "nothing"

    @property
    def rounds(self) -> int:
        return self.recurrence

    @property
    def draws(self) -> int:
        return self.samples if self.sigma else 0

    @property
    def calls(self) -> int:
        return max(1, self.ascents) * max(1, self.draws)

    def look(self, sight: Sight) -> Look:
        """Alg. 1 of the paper. The slope at x0_hat serves both the pull-back and the first ascent."""
        std = self.sigma * ((1.0 - sight.abar).sqrt() if self.sigma_trend == "decrease" else sight.abar**0)
        offsets = sight.offsets(self.draws, std)
        x0 = sight.guess.x0
        y = x0.detach()
        slope = sight.slope(y, offsets)
        push = self.rho * sight.share(self.rho_trend) * sight.pulled_back(x0, slope) if self.rho else None
        for ascent in range(self.ascents):
            slope = sight.slope(y, offsets) if ascent else slope
            y = y + self.mu * sight.share(self.mu_trend) * slope
        return Look(Guess(y, sight.guess.eps.detach()), push)

    def push_scale(self, t: Columns, s: Columns) -> Tensor | float:
        """1 / sqrt(abar_t / abar_s) on VP paths."""
        return s.norm / t.norm
