"""DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095, Alg. 2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.levels import Columns, Guess, Level
from its.sampler.sampler import Sampler

if TYPE_CHECKING:
    from torch import Tensor

MOST_AHEAD = 1000.0
"""Length of a step in log(alpha / sigma), in lengths of the last one, up to which a slope is taken from that: over more
it is rounding, as where a search goes on from a level a hair above one of the grid's."""


@dataclass(frozen=True, kw_only=True)
class DPMpp2M(Sampler):
    """A step of one evaluation and second order: x0_hat moves on as it did over the last step.

    Without a step before it, and into the image, it is of first order: DDIM's with eta 0.
    """

    @property
    def multistep(self) -> bool:
        return True

    def extrapolation(self, last: Level, t: Level, s: Level) -> float:
        """Return `1 / (2 r)` of Alg. 2, r being the last step's length over this one's; 0 where either is infinite."""
        if last.alpha == 0.0 or s.clean:
            return 0.0
        length, before = (_log_ratio(b) - _log_ratio(a) for a, b in ((t, s), (last, t)))
        return length / (2.0 * before) if length < MOST_AHEAD * before else 0.0

    def step(self, x: Tensor, guess: Guess, t: Columns, s: Columns, z: Tensor | None) -> Tensor:
        return s.alpha.to(x) * guess.x0 + s.sigma.to(x) * guess.eps  # Alg. 2, lines 4 and 8, with x_t written out


def _log_ratio(level: Level) -> float:
    """Return lambda, log(alpha / sigma)."""
    return math.log(level.alpha / level.sigma)
