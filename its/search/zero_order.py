"""Zero-order search over starting noise (Ma et al. 2025, arXiv:2501.09732, section 3.2).

Deviation: a pivot is sampled once; the reference code samples it again in every round.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, islice
from typing import ClassVar

from its.image import Image
from its.moves import Rotate
from its.search.check import at_least, one_of
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward

PIVOTS = ("paper", "keep", "peer")


@dataclass(frozen=True)
class ZeroOrder:
    """Sample neighbours of a pivot noise, move to the best, repeat.

    NFE = (1 + rounds * neighbors) samplings; `peer` adds one for every restart.

    Attributes:
        cosine: between the pivot and its neighbours, which have its norm.
        neighbors: N, neighbours per round.
        rounds: null under a cap.
        pivot: `paper` moves to the best neighbour always; `keep` only when it beats the pivot;
            `peer` (tt-scale-flux) restarts from a fresh noise when none does.
    """

    cosine: float = 0.95
    neighbors: int = 4
    rounds: int | None = None
    pivot: str = "keep"
    anytime: ClassVar[bool] = True
    natural: ClassVar[dict[str, int]] = {"rounds": 4}
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        Rotate(self.cosine)
        at_least(1, self, "neighbors", "rounds")
        one_of(self, "pivot", PIVOTS)

    @property
    def peak_rows(self) -> int:
        return ROWS_PER_PARTICLE * (1 + self.neighbors)

    def minimum(self, sampling: int) -> int:
        return sampling

    def run(self, image: Image) -> Coroutine:
        pivot = None
        for _ in islice(count(), self.rounds):
            if pivot is None:
                [pivot] = image.start()
                [best] = yield reward((yield advance([pivot])))
            neighbors = image.move(pivot, Rotate(self.cosine), self.neighbors)
            rewards = yield reward((yield advance(neighbors)))
            top = max(rewards)
            if top > best or self.pivot == "paper":
                pivot, best = neighbors[rewards.index(top)], top
            elif self.pivot == "peer":
                pivot = None
        return None
