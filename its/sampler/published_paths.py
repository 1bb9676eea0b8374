"""Noise paths of pipelines, which know the spacing that their own scheduler takes: `sampler.spacing=checkpoint`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from its.levels import Grid, Level
from its.sampler.noise_paths import VP, Flow
from its.sampler.spacing import CHECKPOINT, Spacing


@dataclass(frozen=True)
class PublishedVP(VP):
    """The variance-preserving path of a pipeline.

    Attributes:
        spacing: the scheduler's own, under the names of `its.sampler.spacing`.
        level_prior: x_T has the standard deviation of its level's noise alone, as diffusers' EulerDiscreteScheduler
            has it where its spacing is not leading; otherwise 1.
        even_strides: the scheduler's steps go down by T // n, wherever its times are, as diffusers' DDIMScheduler's do.
    """

    spacing: str = "leading"
    level_prior: bool = False
    even_strides: bool = False

    def prior_std(self, level: Level) -> float:
        return level.sigma if self.level_prior else 1.0

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        """Lay out levels; see `its.sampler.noise_paths.NoisePath.grid`.

        Raises:
            ValueError: also where the scheduler's own steps would not end at the times that follow.
        """
        if spacing != CHECKPOINT:
            return super().grid(steps, spacing, second_order=second_order)
        grid = super().grid(steps, self.spacing, second_order=second_order)
        stride = self.most_steps // steps
        if self.even_strides and any(t.time - s.time != stride for t, s in pairwise(grid[:-1])):
            raise ValueError(
                f"sampler.spacing=checkpoint is {self.spacing} here, whose {steps} times are not {stride} apart, and "
                f"the checkpoint's scheduler steps by {stride}, past them; take sampler.steps that divide "
                f"{self.most_steps}, or sampler.spacing={self.spacing}, which steps from time to time"
            )
        return grid


@dataclass(frozen=True)
class PublishedFlow(Flow):
    """The linear flow path of a pipeline, whose own spacing is trailing: t is 1, 1 - 1/n, ..., 1/n before the shift.

    Attributes:
        tokens: of a FLUX.2 image, by which and by the number of steps the shift follows; 0 where the shift is given.
        lowest: t before the shift at which the last step begins, whatever their number, the others evenly between 1
            and it, as in the scheduler that is asked for so many steps; 0 where it is given the times above.
        terminal: t at which the last step begins after all: 1 - t is stretched to it after the shift; 0 is not.
    """

    tokens: int = 0
    lowest: float = 0.0
    terminal: float = 0.0

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        path = Flow(flux2_shift(self.tokens, steps) if self.tokens else self.shift, self.time_scale, self.end)
        if spacing == CHECKPOINT:
            spacing = tuple(np.linspace(1.0, self.lowest, steps).tolist()) if self.lowest else "trailing"
        levels = path.grid(steps, spacing, second_order=second_order)
        return self._stretched(levels) if self.terminal else levels

    def _stretched(self, levels: Grid) -> Grid:
        """Return the levels with 1 - t of all but the image's stretched.

        Raises:
            ValueError: the only step begins at noise, and cannot begin elsewhere too.
        """
        last = levels[-2].sigma
        if last == 1.0:
            raise ValueError(
                f"sampler.steps is 1, and by shift_terminal of this checkpoint the last step begins at "
                f"{self.terminal}, not at noise; take sampler.steps=2 or more"
            )
        factor = (1.0 - self.terminal) / (1.0 - last)
        return (*(self.level(1.0 - factor * level.alpha) for level in levels[:-1]), levels[-1])


def flux_shift(tokens: int, ends: tuple[tuple[int, float], tuple[int, float]]) -> float:
    """Return FLUX.1's shift of times, whose logarithm is linear in the tokens of an image.

    Args:
        ends: two numbers of tokens, and the logarithm at each.
    """
    (few, low), (many, high) = ends
    return math.exp(low + (tokens - few) * (high - low) / (many - few))


def flux2_shift(tokens: int, steps: int) -> float:
    """Return FLUX.2's shift of times, fitted by its authors: linear in the steps from 10 to 200, and in the tokens.

    Above 4,300 tokens it is that of 200 steps. Numbers are of Black Forest Labs' flux2 and of diffusers.
    """
    many = 0.00016927 * tokens + 0.45666666
    if tokens > 4300:
        return math.exp(many)
    few = 8.73809524e-05 * tokens + 1.89833333
    slope = (many - few) / 190.0
    return math.exp(many - 200.0 * slope + slope * steps)
