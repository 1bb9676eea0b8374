"""Loss-guided diffusion (Song et al. 2023, ICML), as Ye et al. (arXiv:2409.15761) compare it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.check import check
from its.guidance.guidance import Guidance, Look
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.sight import Sight


@dataclass(frozen=True)
class LGD(Guidance):
    """DPS with the score smoothed by `samples` draws of deviation sqrt(1 - abar) around x0_hat.

    The gradient of the log-mean-exp is divided by `samples` once more, as in Ye et al.'s code: more draws push less.
    """

    strength: float = 1.0
    samples: int = 10

    def __post_init__(self) -> None:
        check(self, strength=0.0, samples=1)

    @property
    def draws(self) -> int:
        return self.samples

    @property
    def calls(self) -> int:
        return self.samples

    def look(self, sight: Sight) -> Look:
        x0 = sight.unclipped
        offsets = sight.offsets(self.samples, (1.0 - sight.abar).sqrt())
        total = sight.smoothed(x0, offsets) + math.log(self.samples)
        push = self.strength / self.samples * sight.pulled_back(total, total.new_ones(()).expand_as(total))
        return Look(Guess(x0.detach(), sight.guess.eps.detach()), push)
