"""Loss-guided diffusion (Song et al. 2023, ICML), as Ye et al. (arXiv:2409.15761) compare it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from its.guidance.guidance import Guidance, GuidanceOutput
from its.levels import Guess

if TYPE_CHECKING:
    from its.guidance.guidance_input import GuidanceInput


@dataclass(frozen=True)
class LGD(Guidance):
    """A shift by a smoothed score: that of `samples` draws of standard deviation sqrt(1 - abar) around x0_hat.

    The gradient of the log-mean-exp is divided by `samples` once more, as in Ye et al.'s code: more draws shift less.

    Attributes:
        strength: >= 0.
        samples: Monte-Carlo draws.
    """

    strength: float = 1.0
    samples: int = 10

    def __post_init__(self) -> None:
        self.check(strength=0.0, samples=1)

    @property
    def num_draws(self) -> int:
        return self.samples

    @property
    def calls(self) -> int:
        return self.samples

    def guide(self, inputs: GuidanceInput) -> GuidanceOutput:
        """Shift the row along the gradient of its smoothed score."""
        x0 = inputs.guess.x0
        offsets = inputs.offsets(self.samples, (1.0 - inputs.abar).sqrt())
        total = inputs.smoothed_score(x0, offsets) + math.log(self.samples)
        shift = self.strength / self.samples * inputs.gradient_at_x(total)
        return GuidanceOutput(Guess(x0.detach(), inputs.guess.eps.detach()), shift)
