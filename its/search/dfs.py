"""DFS: depth-first search with backtracking (Zhang et al. 2025, arXiv:2505.23614), as in its code for mazes."""

from dataclasses import dataclass
from math import inf
from typing import Self

from its.particles.image import Image
from its.particles.particle import Particle
from its.particles.verbs import advance, reward
from its.search.parts.rules import STEPS
from its.search.parts.softmax_counts import checks, increase
from its.search.search import Coroutine, Search, Size, sized


@dataclass(frozen=True)
class DFS(Search):
    """Denoise one particle; where its loss is too high, add noise and try again.

    With nothing left to try, it goes on from the best particle seen at that level. NFE: one sampling up to the cap.
    Deviation: that cap, kept in reserve for the way down, takes the place of a count of backtracks.
    """

    threshold: float = 0.7  # loss (minus the reward) above which it goes back, divided by the `increase` schedule
    depth: float = 0.75  # steps back (below 1: a share of the sampling); beyond the top, a new start
    start: float = 0.75  # first step, or share, after which the loss is checked
    step_size: float = 0.0625  # steps, or share, between checks
    backtracks: Size = sized(natural=20)  # how often; null under a cap
    scores_guesses = True
    moves_starts = False

    def __post_init__(self) -> None:
        self.check(depth=STEPS, start=STEPS, step_size=STEPS, backtracks=0)

    def minimum_calls(self, image: Image) -> int:
        return len(checks(image, self.start, self.step_size)) + 1

    def sized_for(self, cap: int, image: Image) -> Self:
        return self

    def run(self, image: Image) -> Coroutine:
        # Parameters in steps of the grid.
        start, step, depth = (image.in_steps(value) for value in (self.start, self.step_size, self.depth))
        tries = inf if self.backtracks is None else self.backtracks
        best: dict[int, tuple[float, Particle]] = {}
        # Check the loss on the way down; where it is too high, go back up, or on from the best of that level.
        [particle] = image.start()
        i = start
        while i < image.steps:
            [particle] = yield advance([particle], to=image.grid[i + 1])
            [rewarded] = yield reward([particle], of="before")
            best[i] = max(best.get(i, (rewarded, particle)), (rewarded, particle), key=lambda pair: pair[0])
            if -rewarded > self.threshold / increase(image.grid, i):
                back = max(0, i - depth)
                again = start + max(0, -(-(back - start) // step)) * step
                way_down = image.price(image.cost(image.grid[back]), calls=len(range(again, image.steps, step)) + 1)
                if tries and image.left >= way_down:
                    tries -= 1
                    [particle] = image.renoise([particle], image.grid[back]) if back else image.start()
                    i = again
                    continue
                particle = best[i][1]
            i += step
        yield reward((yield advance([particle])))
