"""Zero-order search over starting noise (Ma et al. 2025, arXiv:2501.09732, section 3.2).

Deviation: a pivot is sampled once; the reference code samples it again in every round.
"""

from dataclasses import dataclass
from itertools import count, islice
from typing import ClassVar

from its.particles.image import Image
from its.particles.moves import Rotate
from its.particles.verbs import advance, reward
from its.search.check import check
from its.search.search import Coroutine, Search, Size


@dataclass(frozen=True)
class ZeroOrder(Search):
    """Sample neighbours of a pivot noise, move to the best, repeat.

    NFE = (1 + rounds * neighbors) samplings; `peer` adds one for every restart.
    """

    cosine: float = 0.95  # between the pivot and its neighbours, which have its norm
    neighbors: int = 4  # N, of each round
    rounds: Size = None  # null under a cap
    pivot: str = "keep"  # move if a neighbour is better; paper: always; peer (tt-scale-flux): else start afresh
    anytime = True
    needs_absolute = False
    natural: ClassVar[dict[str, int]] = {"rounds": 4}

    def __post_init__(self) -> None:
        Rotate(self.cosine)
        check(self, neighbors=1, rounds=1, pivot=("paper", "keep", "peer"))

    def run(self, image: Image) -> Coroutine:
        pivot = None
        for _ in islice(count(), self.rounds):
            if pivot is None:
                [pivot] = image.start()
                [best] = yield reward((yield advance([pivot])))
            neighbors = image.move(pivot, Rotate(self.cosine), self.neighbors)
            rewards = yield reward((yield advance(neighbors)))
            held, *scores = image.order([best, *rewards])
            if max(scores) > held or self.pivot == "paper":
                k = scores.index(max(scores))
                pivot, best = neighbors[k], rewards[k]
            elif self.pivot == "peer":
                pivot = None
