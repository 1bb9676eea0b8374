"""FlowChef: steering of a flow without gradients of the network (Patel et al. 2024, arXiv:2412.00100, Algorithm 1).

Ours: the velocity that stays is eps_hat - x0_hat, that of the linear path, whatever the path; steps of one length
(PG-MAP, arXiv:2606.22958) in place of an optimiser of the task's loss.
"""

from dataclasses import dataclass

from its.particles.image import Image
from its.particles.verbs import advance, gradient, numbers, reward
from its.search.parts.ascent import late_levels, unit, width
from its.search.parts.rules import SHARE
from its.search.search import Coroutine, Search


@dataclass(frozen=True)
class FlowChef(Search):
    """Before each late step, take K steps up the gradient of the guide's score, as which x0_hat and the state move.

    NFE = one sampling: the velocity of a step is evaluated before the state moves, and stays.
    """

    share: float = 0.3  # of the noisiest level's time, from which down steps are late
    length: float = 0.1  # of an ascent step, in the L2 norm of the whole state
    ascents: int = 4  # K
    anytime = True
    needs_absolute = False
    moves_starts = False
    samples_once = True
    takes_gradients = "guess"

    def __post_init__(self) -> None:
        self.check(share=SHARE, length=0, ascents=0)

    def run(self, image: Image) -> Coroutine:
        [particle] = image.start()
        for level in late_levels(image, self.share):
            [particle] = yield advance([particle], to=level)
            [(x, x0)] = yield numbers([particle])
            for _ in range(self.ascents):
                [slope] = yield gradient([particle], through="guess")
                # On the linear path a step with a velocity that stays moves the state, x0_hat and eps_hat alike.
                step = self.length * unit(slope.gradient)
                x, x0 = x + width(level) * step, x0 + step
                [particle] = image.propose([particle], [x0], [x])
        yield reward((yield advance([particle])))
