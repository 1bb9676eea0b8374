"""DSearch (Li et al. 2025, arXiv:2503.02039), as in the authors' code for images (DSearch-E with value PM)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor

from its.particles.image import Image
from its.search.beam import Beam
from its.search.parts.branching import Branching
from its.search.parts.rules import STEPS
from its.search.search import Size, sized


@dataclass(frozen=True)
class DSearch(Beam):
    """Beam search with ever fewer beams, each of which goes on in its best child, and more children late.

    i/(T - 1) of the way down `B0 (B/B0)^(i/(T - 1))` beams are left, those whose best child is worst being dropped.
    With probability `1 - exp(-3 i/(T - 1))` a step draws `w K B0/n` children of each of its n beams, else K.
    Deviation: theirs drops among images of several prompts; here one image has all beams. Under a cap children are
    fewer in proportion.
    """

    beams: int = 5  # B0, at the start; fewer where the cap pays for fewer
    final_beams: int = 1  # B
    expansion: float = 5.0  # w
    children: Size = sized(natural=5)  # M; null under a cap

    def __post_init__(self) -> None:
        self.check(beams=1, final_beams=1, expansion=1, every=STEPS, lookahead=1, children=1)

    def width(self, step: int, image: Image) -> int:
        # Of the branching that ends here.
        final, way = min(self.final_beams, self.beams), max(0, step - 1) / (image.steps - 1) if step else 0.0
        return max(final, floor(self.beams * (final / self.beams) ** way + 1e-9))

    def most(self, plan: Branching) -> list[int]:
        coins = plan.image.random.uniform(len(plan.steps))
        most = []
        for i, n, coin in zip(plan.steps, plan.widths, coins, strict=False):
            more = coin < 1 - exp(-3 * i / (plan.image.steps - 1))
            each = floor(self.expansion * self.children * self.beams / n + 1e-9) if more else self.children
            most.append(n * (each - 1))
        return most

    def heirs(self, ranked: Sequence[int], beams: int) -> Sequence[int]:
        best = dict[int, int]()
        for child in ranked:
            best.setdefault(child % beams, child)
        return [*best.values()]
