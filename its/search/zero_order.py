"""Zero-order search over starting noise (Ma et al. 2025, arXiv:2501.09732, section 3.2).

Deviation: a pivot is sampled once; the reference code samples it again in every round.
"""

from dataclasses import dataclass
from itertools import count, islice

from its.particles.image import Image
from its.particles.moves import Rotate
from its.particles.verbs import advance, reward
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class ZeroOrder(Search):
    """Sample neighbours of a pivot noise, move to the best, repeat.

    NFE = (1 + rounds * neighbors) samplings; `peer` adds one for every restart.
    """

    cosine: float = 0.95  # between the pivot and its neighbours, which have its norm
    neighbors: int = 4  # N, of each round
    rounds: Size = sized(natural=4)  # null under a cap
    pivot: str = "keep"  # move if a neighbour is better; paper: always; peer (tt-scale-flux): else start afresh
    anytime = True
    needs_absolute = False

    def __post_init__(self) -> None:
        self.check(neighbors=1, rounds=1, pivot=("paper", "keep", "peer"))
        Rotate(self.cosine)

    def run(self, image: Image) -> Coroutine:
        pivot = None
        for _ in islice(count(), self.rounds):
            if pivot is None:
                [pivot] = image.start()
                [best] = yield reward((yield advance([pivot])))
            neighbors = image.move(pivot, Rotate(self.cosine), self.neighbors)
            rewards = yield reward((yield advance(neighbors)))
            current, *scores = image.order([best, *rewards])
            if max(scores) > current or self.pivot == "paper":
                k = scores.index(max(scores))
                pivot, best = neighbors[k], rewards[k]
            elif self.pivot == "peer":
                pivot = None
