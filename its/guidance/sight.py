"""What a guidance sees of a batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from its.levels import Columns, Grid, Guess, Level

Trend = Literal["increase", "decrease", "constant"]
TRENDS = ("increase", "decrease", "constant")

Score = Callable[[Tensor], Tensor]


@lru_cache(maxsize=64)
def shares(trend: Trend, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Times, ascending, and weights there, of mean 1 over the steps of a sampling.

    A step's weight is its ratio of abar to the next level's (`increase`), 1 minus that (`decrease`) or 1 (`constant`):
    Ye et al. 2024 (arXiv:2409.15761), as their code has it.

    Raises:
        ValueError: the ratio is 1 at every step.
    """
    abar = np.array([level.alpha**2 / (level.alpha**2 + level.sigma**2) for level in grid])
    ratio = abar[:-1] / abar[1:]
    weights = {"increase": ratio, "decrease": 1.0 - ratio, "constant": np.ones_like(ratio)}[trend]
    if weights.sum() <= 0:
        raise ValueError(f"a schedule that is {trend!r} is 0 at every step of this sampling; choose constant")
    return np.array([level.time for level in grid[:-1]])[::-1], (weights * len(weights) / weights.sum())[::-1]


class Sight:
    """Rows at mixed levels, their guess, and the guide.

    Args:
        x: rows `[n, *shape]`; they require a gradient where `guess` depends on them.
        levels: of each row.
        score: the guide's log-score of `[n, *shape]`, float `[n]`, differentiable.
        normal: the k-th Monte-Carlo draw of every row.
        grid: of a plain sampling.
    """

    def __init__(
        self,
        x: Tensor,
        levels: Sequence[Level],
        guess: Guess,
        score: Score,
        normal: Callable[[int], Tensor],
        grid: Grid,
    ) -> None:
        self.x = x
        self.t = Columns.of(levels, x.ndim, x.device)
        self.guess = guess
        self.score = score
        self._normal = normal
        self._levels = levels
        self._grid = grid

    @property
    def abar(self) -> Tensor:
        """alpha^2 / (alpha^2 + sigma^2), a column of the rows' dtype."""
        return (self.t.alpha**2 / (self.t.alpha**2 + self.t.sigma**2)).to(self.x)

    @property
    def unclipped(self) -> Tensor:
        """x0_hat as eps_hat has it, whatever the model clips."""
        return (self.x - self.t.sigma.to(self.x) * self.guess.eps) / self.t.alpha.to(self.x)

    def tilted(self, eps: Tensor) -> Guess:
        """The guess that goes with another eps_hat."""
        return Guess((self.x.detach() - self.t.sigma.to(self.x) * eps) / self.t.alpha.to(self.x), eps)

    def share(self, trend: Trend) -> Tensor:
        """The schedule's weight at each row, a column; between the grid's levels it is interpolated in time."""
        values = np.interp([level.time for level in self._levels], *shares(trend, self._grid))
        return torch.from_numpy(values).to(self.x).reshape(-1, *[1] * (self.x.ndim - 1))

    def offsets(self, draws: int, std: Tensor) -> list[Tensor]:
        """Monte-Carlo offsets of deviation `std`, a column."""
        return [std * self._normal(k) for k in range(draws)]

    def smoothed(self, images: Tensor, offsets: Sequence[Tensor]) -> Tensor:
        """Log of the mean over `offsets` of the guide's score, `[n]`; the score itself if there are none."""
        if not offsets:
            return self.score(images)
        scores = torch.stack([self.score(images + offset) for offset in offsets])
        return torch.logsumexp(scores, dim=0) - math.log(len(offsets))

    def slope(self, images: Tensor, offsets: Sequence[Tensor] = ()) -> Tensor:
        """Gradient of the smoothed score at `images`, which are taken as constants."""
        images = images.detach().requires_grad_()
        return torch.autograd.grad(self.smoothed(images, offsets).sum(), images)[0].to(images)

    def pulled_back(self, values: Tensor, slope: Tensor) -> Tensor:
        """Gradient with respect to x of something whose gradient with respect to `values` is `slope`."""
        return torch.autograd.grad(values, self.x, slope)[0]
