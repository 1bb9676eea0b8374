"""Diffusion alignment as sampling: TDS with a twist that grows (Kim et al. 2025, arXiv:2501.05803).

Deviations: `tempering` counts in hundredths of the sampling, which are steps for the authors' 100. NaN fails the image.
"""

from dataclasses import dataclass

from its.search.tds import TDS


@dataclass(frozen=True)
class DAS(TDS):
    """TDS whose twist is tempered: proposals step up it gently at first, where guesses say little. NFE as TDS.

    Weights take the twist of a state at its own level, proposals that of the level they lead to.
    """

    tempering: float | None = 0.008  # gamma: (1 + gamma)^i - 1 of the twist after i of 100 steps, at most all of it
    resampler: str = "ssp"  # or systematic, multinomial
    ess: float = 0.5
    final: str = "heaviest"  # image; or sample one by weight; or the best by reward
