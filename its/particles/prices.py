"""Routes between levels, and their prices in NFE."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

from its.levels import Grid, Level
from its.sampler.noise_paths import NoisePath, listed_by
from its.sampler.sampler import Sampler

Route = tuple[Level, ...]


class Prices:
    """The prices of advancing under one model and sampler, in NFE.

    Args:
        path: the model's.
        slots: network rows of one evaluation, of any or by its level (2 where classifier-free guidance is on).
        rounds: how often each step is taken (recurrence).

    Attributes:
        evaluation: by level the price of evaluating a row there.
        level: by native time the level, on the grid or off it.
        sampling: the price of a plain sampling.
        prior_std: standard deviation of x_T at the top of the grid.
    """

    def __init__(self, path: NoisePath, sampler: Sampler, slots: int | Callable[[Level], int], rounds: int = 1) -> None:
        self._path = path
        self._sampler = sampler
        self.evaluation: Callable[[Level], int] = lru_cache(4096)(slots if callable(slots) else lambda level: slots)
        self.rounds = rounds
        self.stochastic = sampler.stochastic
        states = sampler.path(path)
        self.level: Callable[[float], Level] = lru_cache(maxsize=4096)(states.level)
        self.most_steps = states.most_steps
        self.route = lru_cache(maxsize=4096)(self._route)
        self.cost = lru_cache(maxsize=4096)(self._cost)
        self.check_steps = lru_cache(maxsize=4096)(self._check_steps)
        self.check_deterministic = lru_cache(maxsize=1)(self._check_deterministic)
        self.grid: Grid = sampler.grid(path)
        self.prior_std = sampler.prior_std(path, self.grid[0])
        self.sampling = self.cost(self.grid[0], self.grid[-1])

    def _route(self, start: Level, to: Level | None, steps: int | None, whole: bool) -> tuple[Route, int]:
        """Return the levels from `start` down to `to`, and the NFE of the steps between them.

        Args:
            steps: None takes the grid's levels strictly between; a number, that many steps.
            whole: start at the top of a grid of `steps` (starting points are noise at any top).

        Raises:
            ValueError: there are no such steps, or noise does not stand at their top.
        """
        levels = self._levels(start, to, steps, whole)
        if steps is not None and levels[0] != start:
            self.check_steps(steps)
        return levels, self._price(levels)

    def _cost(self, start: Level, to: Level | None = None, steps: int | None = None) -> int:
        """Return the NFE of advancing one particle whose guess is not known yet."""
        return self._price(self._levels(start, to, steps, start == self.grid[0]))

    def _price(self, route: Route) -> int:
        """Return the sum over all steps: a first stage is evaluated where the step begins, a second where it ends."""
        evaluated = (level for t, s in pairwise(route) for level in (t, s)[: self._sampler.stages(t, s)])
        return self.rounds * sum(map(self.evaluation, evaluated))

    def check_guided(self, most: int, interval: object, skip_interval: object = None) -> None:
        """Refuse a sampling at no level of which an evaluation takes `most` network rows, as the model says of some.

        Args:
            interval, skip_interval: that the model is guided in, and skips layers in, for the message.

        Raises:
            ValueError: naming the levels.
        """
        if any(self.evaluation(level) == most for level in self.grid[:-1]):
            return
        by = listed_by(self._path)
        values = ", ".join(f"{getattr(level, by):.4g}" for level in self.grid[:-1])
        if skip_interval is not None:
            raise ValueError(
                f"model.skip_interval is {skip_interval}, and this sampling has no guided level there, so that no "
                f"layer would be skipped: its {by}s are {values}; widen it, or set model.skip_interval=null"
            )
        raise ValueError(
            f"model.guidance_interval is {interval}, and this sampling has no level there, so that nothing would be "
            f"guided: its {by}s are {values}; widen it, or set model.guidance_interval=null model.guidance_scale=1"
        )

    def _levels(self, start: Level, to: Level | None, steps: int | None, whole: bool) -> Route:
        if steps is not None and steps < 1:
            raise ValueError(f"advance in {steps} steps; it takes at least 1")
        end = to or self.grid[-1]
        if steps is not None and whole and end.clean:
            levels = self._sampler.layout(self._path, steps)
        elif steps is not None:
            levels = self._between(start, end, steps)
        else:
            levels = (start, *(v for v in self.grid if start.time > v.time > end.time), end)
        if end == start:
            levels = (start,)
        elif end.time > start.time:
            raise ValueError(f"advance from {start} to {end}: the level to reach must be less noisy")
        return levels

    def _check_steps(self, steps: int) -> None:
        """Refuse a whole sampling in so many steps where noise does not stand at its top; see `Sampler.grid`."""
        self._sampler.grid(self._path, steps)

    def _check_deterministic(self) -> None:
        """Refuse steps without noise of a sampler that has none; see `Sampler.deterministic`."""
        self._sampler.deterministic()

    def raised(self, level: Level, top: Level) -> float:
        """Return by how much x_T is larger at the top of another grid than at this level, from which it is raised."""
        if top == level:
            return 1.0
        return self._sampler.prior_std(self._path, top) / self._sampler.prior_std(self._path, level)

    def noisy(self, t: Level, s: Level) -> bool:
        """Return whether the step from t to s draws noise."""
        return self._sampler.noisy(t, s)

    def _between(self, start: Level, end: Level, steps: int) -> Route:
        """Return a route of `steps` equal steps in native time; the last falls on `end`."""
        low = max(0.0, end.time)
        inner = [start.time + (low - start.time) * k / steps for k in range(1, steps)]
        return (start, *(self.level(time) for time in inner), end)
