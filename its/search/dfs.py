"""DFS: depth-first search with backtracking (Zhang et al. 2025, arXiv:2505.23614).

Exact rule of the authors' code, which exists for planning only (pointmaze/search/methods/dfs.py).

Deviation: a cap in NFE takes the place of a count of backtracks; it is kept in reserve for the way down.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import ClassVar, Self

from its.image import Image, Particle
from its.search.bfs_resample import increase
from its.search.check import at_least, steps_or_shares
from its.types import ROWS_PER_PARTICLE, Coroutine, advance, reward


@dataclass(frozen=True)
class DFS:
    """Denoise one particle; where its loss is too high, add noise and try again.

    With nothing left to try, it goes on from the best particle seen at that level. It stops once it is
    through: NFE lie between one sampling and the cap.

    Attributes:
        threshold: loss, that is minus the reward, above which it goes back; divided by the `increase`
            schedule, so that it falls towards the end.
        depth: how far back, in steps (>= 1) or as a share of the sampling (< 1); beyond the top, a new start.
        start, step_size: first step after which the loss is checked, and steps between; units of depth.
        backtracks: how often; null under a cap.
    """

    threshold: float = 0.7
    depth: float = 0.75
    start: float = 0.75
    step_size: float = 0.0625
    backtracks: int | None = None
    anytime: ClassVar[bool] = False
    natural: ClassVar[dict[str, int]] = {"backtracks": 20}
    needs_noise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        steps_or_shares(self, "depth", "start", "step_size")
        at_least(0, self, "backtracks")

    @property
    def peak_rows(self) -> int:
        start, step_size = (value if value < 1 else 1 / 16 for value in (self.start, self.step_size))
        return ROWS_PER_PARTICLE + 4 * ceil((1 - start) / step_size)

    def minimum(self, sampling: int) -> int:
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        return self

    def run(self, image: Image) -> Coroutine:
        start, step, depth = (image.in_steps(value) for value in (self.start, self.step_size, self.depth))
        tries = inf if self.backtracks is None else self.backtracks
        best: dict[int, tuple[float, Particle]] = {}
        [particle] = image.start()
        i = start
        while i < image.steps:
            [particle] = yield advance([particle], to=image.grid[i + 1])
            [rewarded] = yield reward([particle], of="before")
            if i not in best or rewarded > best[i][0]:
                best[i] = (rewarded, particle)
            back = max(0, i - depth)
            if -rewarded > self.threshold / increase(image.grid, i):
                if tries and image.left >= image.cost(image.grid[back]):
                    tries -= 1
                    [particle] = image.renoise([particle], image.grid[back]) if back else image.start()
                    i = start + max(0, -(-(back - start) // step)) * step
                    continue
                particle = best[i][1]
            i += step
        [particle] = yield advance([particle])
        yield reward([particle])
        return particle
