"""UG-FM: universal guidance of a flow, by ascent steps on the state late in the sampling (PG-MAP, arXiv:2606.22958).

Rule of Sun and Polak's code; ours where the path is not linear: there a step has its length on the linear path.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Self

from its.particles.image import Image
from its.particles.verbs import Through, advance, gradient, reward
from its.search.parts.ascent import late_levels, unit, width
from its.search.parts.rules import SHARE
from its.search.parts.spread import spread
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class UGFM(Search):
    """Before each late step, take K steps of one length up the gradient of the guide's score of x0_hat.

    NFE = one sampling + K evaluations at every late step, each forward and backward where it is differentiated.
    """

    share: float = 0.3  # of the noisiest level's time, from which down steps are late
    length: float = 0.1  # of an ascent step, in the L2 norm of the whole state
    through: Through = "network"  # or guess: as if x0_hat moved with the state, PG-MAP's comparison to FlowChef
    ascents: Size = sized(natural=4)  # K; null under a cap, which is spread over the late steps
    needs_absolute = False

    def __post_init__(self) -> None:
        self.check(share=SHARE, length=0, through=("network", "guess"), ascents=0)

    @property
    def takes_gradients(self) -> Through:
        return self.through

    def sized_for(self, cap: int, image: Image) -> Self:
        prices = [image.cost_of_guess(level) for level in late_levels(image, self.share)]
        return replace(self, ascents=ceil((cap - image.cost()) / sum(prices)) if prices else 0)

    def run(self, image: Image) -> Coroutine:
        [particle] = image.start()
        late = late_levels(image, self.share)
        prices = [image.cost_of_guess(level) for level in late]
        for level, ascents in zip(late, spread(image.left - image.cost(), prices, self.ascents), strict=True):
            [particle] = yield advance([particle], to=level)
            for _ in range(ascents):
                [slope] = yield gradient([particle], through=self.through)
                x = slope.x + width(level) * self.length * unit(slope.gradient)
                [particle] = image.place([particle], [x])
        yield reward((yield advance([particle])))
