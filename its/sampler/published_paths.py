"""Noise paths of pipelines, which know the spacing that their own scheduler takes: `sampler.spacing=checkpoint`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from its.levels import Grid, Level
from its.sampler.noise_paths import VP, Flow
from its.sampler.spacing import CHECKPOINT, Spacing, checked_times, spaced

MOST_TIME = 1.5708
"""Of SANA-Sprint's diffusers pipeline, pi / 2 but for rounding: noise alone."""

TWO_STEPS = (MOST_TIME, 1.3)
"""Times of SANA-Sprint in two steps, as its authors and diffusers' pipeline have them."""


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
    """The linear flow path of a pipeline.

    Attributes:
        tokens: of a FLUX.2 image, by which and by the number of steps the shift follows; 0 where the shift is given.
        lowest: t before the shift at which the last step begins, whatever their number, the others evenly between 1
            and it, as in the scheduler that is asked for so many steps; 0 where it is given the times above.
        solver: its pipeline has DPMSolverMultistepScheduler, whose times are trailing from 0.999, and which takes noise
            of deviation 1 for x_T, wherever it begins.
        terminal: t at which the last step begins after all: 1 - t is stretched to it after the shift; 0 is not.
    """

    tokens: int = 0
    lowest: float = 0.0
    solver: bool = False
    terminal: float = 0.0

    def prior_std(self, level: Level) -> float:
        return 1.0 if self.solver else super().prior_std(level)

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        if spacing == CHECKPOINT and (self.lowest or self.solver):
            times = self._laid_out(steps)
            levels: Grid = (*(self.level(float(self._shifted(t) * self.time_scale)) for t in times), self._last)
        else:
            path = Flow(flux2_shift(self.tokens, steps) if self.tokens else self.shift, self.time_scale, self.end)
            levels = path.grid(steps, "trailing" if spacing == CHECKPOINT else spacing, second_order=second_order)
        return self._stretched(levels) if self.terminal else levels

    def _laid_out(self, steps: int) -> np.ndarray:
        """Return the times before the shift that a scheduler lays out which is asked for so many steps."""
        if not 1 <= steps <= self.most_steps:
            raise ValueError(f"steps is {steps}; it lies between 1 and {self.most_steps}")
        if self.solver:
            return (1.0 - np.linspace(1.0, 1.0 / self.most_steps, steps + 1))[:0:-1]
        return np.linspace(1.0, self.lowest, steps)

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


@dataclass(frozen=True)
class PublishedConsistency(VP):
    """The variance-preserving path of a latent consistency model (Luo et al. 2023, arXiv:2310.04378).

    Attributes:
        origin: steps of the sampling that it was distilled from, the times of which are its own: of these as many as
            there are steps, at equal distances, rounded to the noisier one.
    """

    origin: int = 50

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        times = self._times(steps) if spacing == CHECKPOINT else spacing
        return super().grid(steps, times, second_order=second_order)

    def _times(self, steps: int) -> Spacing:
        if not 1 <= steps <= self.origin:
            raise ValueError(
                f"sampler.steps is {steps}; by sampler.spacing=checkpoint it lies between 1 and {self.origin}, the "
                "original_inference_steps of this model's scheduler: take fewer, or sampler.spacing=trailing"
            )
        times = np.arange(self.origin, 0, -1) * (self.most_steps // self.origin) - 1
        return tuple(times[np.floor(np.linspace(0, self.origin, steps, endpoint=False)).astype(int)].tolist())


@dataclass(frozen=True)
class TrigFlow:
    """The path of consistency models on angles: `x_t = cos(t) x_0 + sin(t) eps` (Lu and Song 2024, arXiv:2410.11081).

    Native time is t, in radians. A network of linear flow is given `x_t / (cos t + sin t)`, which is linear flow's row
    at `sin t / (cos t + sin t)`. Its own spacing is SANA-Sprint's: `TWO_STEPS`, and other numbers at equal distances.
    """

    most_steps = 1000

    @property
    def noisiest(self) -> Level:
        return self.level(MOST_TIME)

    def prior_std(self, level: Level) -> float:
        return 1.0

    @property
    def listable(self) -> tuple[float, ...]:
        return tuple(MOST_TIME * k / self.most_steps for k in range(self.most_steps, 0, -1))

    def level(self, time: float) -> Level:
        """Return the level at an angle; one that rounding puts beyond pi / 2 is noise alone."""
        if time >= math.pi / 2:
            return Level(0.0, 1.0, time)
        alpha, sigma = math.cos(time), math.sin(time)
        return Level(alpha, sigma, time, scale=1.0 / (alpha + sigma), norm=alpha + sigma)

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        if not isinstance(spacing, str):
            times = checked_times(spacing, steps, 0.0, MOST_TIME)
            if times[-1] == 0.0:
                raise ValueError(
                    f"sampler.spacing is {list(spacing)}; a step starts from each of its times, and at 0 no noise is "
                    "left to take away: leave it out, and lower sampler.steps"
                )
        elif spacing == CHECKPOINT and steps == len(TWO_STEPS):
            times = np.asarray(TWO_STEPS)
        else:
            even = spaced("trailing" if spacing == CHECKPOINT else spacing, steps, self.most_steps, whole=False)
            times = MOST_TIME * (even + 1) / self.most_steps
        return (*(self.level(float(time)) for time in times), Level(1.0, 0.0, 0.0))


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
