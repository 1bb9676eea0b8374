"""The input of a guidance: a batch of rows, their guess, and the guide's score with its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from its.guidance.trend import Trend, trend_weights
from its.levels import Columns, Grid, Guess, Level

Score = Callable[[Tensor], Tensor]


class GuidanceInput:
    """A batch of rows at mixed levels with their guess, and the guide.

    Args:
        x: rows `[n, *shape]`; they require a gradient where `guess` depends on them.
        levels: level of each row.
        guess: the network's own x0_hat and eps_hat, not clipped.
        plain: the guess that a step without guidance takes, clipped where the model says so.
        score: the guide's log-score of `[n, *shape]`, float `[n]`, differentiable.
        normal: returns the k-th Monte-Carlo draw of every row, `[n, *shape]`.
        grid: levels of a plain sampling.
    """

    def __init__(
        self,
        x: Tensor,
        levels: Sequence[Level],
        guess: Guess,
        plain: Guess,
        score: Score,
        normal: Callable[[int], Tensor],
        grid: Grid,
    ) -> None:
        self.x = x
        self.t = Columns.of(levels, x.ndim, x.device)
        self.guess = guess
        self.plain = plain
        self.score = score
        self._normal = normal
        self._levels = levels
        self._grid = grid

    @property
    def abar(self) -> Tensor:
        """The share of signal alpha^2 / (alpha^2 + sigma^2), a column of the rows' dtype."""
        return (self.t.alpha**2 / (self.t.alpha**2 + self.t.sigma**2)).to(self.x)

    def guess_of(self, eps: Tensor) -> Guess:
        """Return the guess that goes with another eps_hat."""
        return Guess((self.x.detach() - self.t.sigma.to(self.x) * eps) / self.t.alpha.to(self.x), eps)

    def trend_weight(self, trend: Trend) -> Tensor:
        """Return the weight of a strength at each row, a column; see `trend_weights`.

        Between the grid's levels it is interpolated in native time.
        """
        return self.column(np.interp([level.time for level in self._levels], *trend_weights(trend, self._grid)))

    def steps_taken(self) -> np.ndarray:
        """Return how many of the sampling's steps lead to the level of each row, float `[n]`.

        Between the grid's levels they are interpolated in native time.
        """
        times = [level.time for level in self._grid]
        return np.interp([level.time for level in self._levels], times[::-1], np.arange(len(times))[::-1])

    @property
    def steps(self) -> int:
        """The number of steps of a plain sampling."""
        return len(self._grid) - 1

    def column(self, values: np.ndarray) -> Tensor:
        """Return numbers `[n]` as a column of the rows' dtype."""
        column = torch.from_numpy(values).to(self.x.device, self.x.dtype, non_blocking=True)
        return column.reshape(-1, *[1] * (self.x.ndim - 1))

    def offsets(self, draws: int, std: Tensor) -> list[Tensor]:
        """Make Monte-Carlo offsets `[n, *shape]` of standard deviation `std`, a column."""
        return [std * self._normal(k) for k in range(draws)]

    def smoothed_score(self, images: Tensor, offsets: Sequence[Tensor]) -> Tensor:
        """Compute the log of the guide's mean score over `offsets`, `[n]`; the log-score itself without offsets."""
        if not offsets:
            return self.score(images)
        scores = torch.stack([self.score(images + offset) for offset in offsets])
        return torch.logsumexp(scores, dim=0) - math.log(len(offsets))

    def gradient(self, images: Tensor, offsets: Sequence[Tensor] = ()) -> Tensor:
        """Compute the gradient of the smoothed score at `images`; nothing flows back through them."""
        images = images.detach().requires_grad_()
        return torch.autograd.grad(self.smoothed_score(images, offsets).sum(), images)[0].to(images)

    def gradient_at_x(self, values: Tensor, gradient: Tensor | None = None) -> Tensor:
        """Carry a gradient with respect to `values` back to x, through the network: a vector-Jacobian product.

        Args:
            gradient: of the shape of `values`; default is ones, which gives each row the gradient of its own value.
        """
        if gradient is None:
            gradient = values.new_ones(()).expand_as(values)
        return torch.autograd.grad(values, self.x, gradient)[0]
