"""DSearch (Li et al. 2025, arXiv:2503.02039), as in the authors' code for images (DSearch-E with value PM)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor

from its.particles.image import Image
from its.search.beam import Beam
from its.search.parts.branching import Branching
from its.search.parts.rules import STEPS
from its.search.search import Size, sized

ROUNDING = 1e-9
"""Added before a number is cut to a whole one, so that the last bits of a power decide nothing."""


@dataclass(frozen=True)
class DSearch(Beam):
    """Beam search with ever fewer beams, each of which goes on in its best child, and more children late.

    Step i of T leaves `B0 (B/B0)^(i/(T - 1))` beams and drops those whose best child is worst. With probability
    `1 - exp(-3i/(T - 1))` it draws `w M B0/n` children of each of its n beams, else M.
    Deviation: theirs drops among the images of several prompts; here all beams are one image's.
    """

    beams: int = 5  # B0, at the start; fewer where the cap pays for fewer
    final_beams: int = 1  # B
    expansion: float = 5.0  # w
    children: Size = sized(natural=5)  # M; null under a cap

    def __post_init__(self) -> None:
        self.check(beams=1, final_beams=1, expansion=1, every=STEPS, lookahead=1, children=1)

    def width(self, beams: int, step: int, image: Image) -> int:
        if step == 0:
            return beams
        final = min(self.final_beams, beams)
        return max(final, floor(beams * (final / beams) ** ((step - 1) / (image.steps - 1)) + ROUNDING))

    def most(self, plan: Branching, widths: Sequence[int]) -> list[int]:
        coins = plan.image.random.uniform(len(plan.steps))
        most = []
        for i, n, coin in zip(plan.steps, widths, coins, strict=False):
            more = coin < 1 - exp(-3 * i / (plan.image.steps - 1))
            each = floor(self.expansion * self.children * self.beams / n + ROUNDING) if more else self.children
            most.append(n * (each - 1))
        return most

    def heirs(self, ranked: Sequence[int], beams: int) -> Sequence[int]:
        best = dict[int, int]()
        for child in ranked:
            best.setdefault(child % beams, child)
        return [*best.values()]
