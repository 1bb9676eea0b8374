"""Noise paths: how signal and noise mix at each native time, and where the steps of a sampling lie on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from its.levels import Grid, Level
from its.sampler.spacing import Spacing, checked_times, shifted, spaced

MOST_NOISE = 80.0
"""The largest sigma / alpha at which a second-order sampler begins on VP: EDM's sigma_max (Karras et al. 2022)."""


class NoisePath(Protocol):
    """The mix of signal and noise that a network was trained on, as a function of its native time.

    `its.levels.Level.time` says what native time is.
    """

    @property
    def noisiest(self) -> Level:
        """The level at the end of training."""
        ...

    def prior_std(self, level: Level) -> float:
        """Return the standard deviation of x_T at the first level of a grid."""
        ...

    @property
    def most_steps(self) -> int:
        """The number of steps of the longest sampling."""
        ...

    @property
    def listable(self) -> tuple[float, ...]:
        """The `most_steps` values that a search draws listed spacings from, noisiest first."""
        ...

    def level(self, time: float) -> Level:
        """Return the level at a native time."""
        ...

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        """Lay out `steps + 1` levels, noisiest first, the image's last.

        Args:
            spacing: a rule by name, or a list of `steps` values as in `listable`.
            second_order: for a second-order sampler.

        Raises:
            ValueError: there is no such rule for this path, or a time lies outside of it.
        """
        ...


def listed_by(path: NoisePath) -> str:
    """Return the attribute of a level by which users write levels of a path: `sigma` on EDM's, else its native time."""
    return "sigma" if isinstance(path, EDM) else "time"


@dataclass(frozen=True)
class VP:
    """The variance-preserving path: alpha^2 + sigma^2 = 1, from a table over training steps.

    Ho et al. 2020 (arXiv:2006.11239). Native time is the training step.

    Attributes:
        alphas_cumprod: alpha^2 at each training step, descending.
        offset: added to the times of `leading` spacing (diffusers' `steps_offset`).
        final_alpha_cumprod: alpha^2 of the image itself: 1, or the table's first entry where diffusers'
            `set_alpha_to_one` is false. Second-order samplers end at 1, as diffusers' do.
    """

    alphas_cumprod: tuple[float, ...]
    offset: int = 0
    final_alpha_cumprod: float = 1.0

    @property
    def most_steps(self) -> int:
        return len(self.alphas_cumprod)

    @property
    def noisiest(self) -> Level:
        return self.level(self.most_steps - 1)

    @property
    def listable(self) -> tuple[float, ...]:
        return tuple(float(time) for time in reversed(range(self.most_steps)))

    def level(self, time: float) -> Level:
        """Return the level at a training step, or between two by interpolating sigma / alpha.

        diffusers' Heun scheduler interpolates so. Above the last step with signal, a level has none.
        """
        table = np.asarray(self.alphas_cumprod)
        table = table[table > 0]
        if time > len(table) - 1 and len(table) < self.most_steps:
            return Level(0.0, 1.0, float(time), norm=0.0)
        ratio = np.interp(time, np.arange(len(table)), np.sqrt((1 - table) / table))
        alpha = 1.0 / np.sqrt(1.0 + ratio**2)
        return Level(float(alpha), float(ratio * alpha), float(time), norm=float(alpha))

    def prior_std(self, level: Level) -> float:
        return 1.0

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        """Lay out levels; see `NoisePath.grid`.

        A second-order sampler takes times as they are, and begins at the first at most as noisy as `MOST_NOISE`.
        """
        # Place the times in the table.
        total = self.most_steps
        if isinstance(spacing, str):
            times = spaced(spacing, steps, total, whole=not second_order)
            times = times + (self.offset if spacing in ("leading", "open_leading") else 0)
        else:
            times = checked_times(spacing, steps, 0, total - 1)
        if times[0] > total - 1:
            raise ValueError(
                f"sampler.spacing={spacing} in {steps} steps begins at time {times[0]:g}, for the checkpoint's "
                f"steps_offset is {self.offset}, and it was trained on times up to {total - 1}; take fewer "
                "sampler.steps, or sampler.spacing=trailing"
            )

        # Begin and end.
        levels = [self.level(float(t)) for t in times]
        if not second_order:
            alpha, sigma = math.sqrt(self.final_alpha_cumprod), math.sqrt(1.0 - self.final_alpha_cumprod)
            return (*levels, Level(alpha, sigma, -1.0, norm=alpha, ends=sigma > 0))
        begun = [level for level in levels if level.sigma <= MOST_NOISE * level.alpha]
        if not begun:
            raise ValueError(
                f"sampler.spacing={spacing} in {steps} steps has no time at which sigma / alpha is at most "
                f"{MOST_NOISE:g}, where a second-order sampler begins; take more sampler.steps"
            )
        return (*begun, Level(1.0, 0.0, -1.0))


@dataclass(frozen=True)
class Flow:
    """The linear flow path: `x_t = (1 - t) x_0 + t eps`, t from 1 to 0 (Lipman et al. 2022, arXiv:2210.02747).

    Native time is `time_scale * t`.

    Attributes:
        shift: time shift `s t / (1 + (s - 1) t)` (Esser et al. 2024, arXiv:2403.03206, Eq. 23); 1 is none.
        time_scale: native time at t = 1 (1000 for diffusers' transformers).
        end: t before the shift at which a sampling ends, and the row there is the image, though noise is left; a rule
            of spacing lies between 1 and it.
    """

    shift: float = 1.0
    time_scale: float = 1.0
    end: float = 0.0
    most_steps = 1000

    def __post_init__(self) -> None:
        if not (0.0 < self.shift < math.inf and 0.0 <= self.end < 1.0):
            raise ValueError(
                f"model.shift is {self.shift} and the last time {self.end}; a shift is above 0 and finite, and the "
                "last time, model.end, is from 0 to below 1"
            )

    @property
    def noisiest(self) -> Level:
        return self.level(self.time_scale)

    def prior_std(self, level: Level) -> float:
        return level.sigma

    @property
    def listable(self) -> tuple[float, ...]:
        """The native times before the shift."""
        low = self.end * self.time_scale
        span = self.time_scale - low
        return tuple(low + k * span / self.most_steps for k in range(self.most_steps, 0, -1))

    def level(self, time: float) -> Level:
        t = time / self.time_scale
        return Level(1.0 - t, t, time)

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        if isinstance(spacing, str):
            t = (spaced(spacing, steps, self.most_steps, whole=False) + 1) / self.most_steps
            t = t if self.end == 0.0 else self.end + (1.0 - self.end) * t
        else:
            low = self.end * self.time_scale
            t = checked_times(spacing, steps, low, self.time_scale) / self.time_scale
            if t[-1] == self.end:
                raise ValueError(
                    f"sampler.spacing is {list(spacing)}; a step starts from each of its times, and at {low:g} no "
                    "noise is left to take away: leave it out, and lower sampler.steps"
                )
        levels = (self.level(float(self._shifted(v) * self.time_scale)) for v in t)
        return (*levels, self._last)

    @property
    def _last(self) -> Level:
        """Return the image's level."""
        if self.end == 0.0:
            return Level(1.0, 0.0, 0.0)
        return replace(self.level(float(self._shifted(self.end) * self.time_scale)), ends=True)

    def _shifted(self, t: float) -> float:
        return shifted(t, self.shift)


@dataclass(frozen=True)
class EDM:
    """The variance-exploding path: `x_t = x_0 + sigma eps` (Karras et al. 2022, arXiv:2206.00364).

    Native time is `sigma ** (1 / rho)`, on which Eq. 5 places steps at equal distances.

    Attributes:
        sigma_data: standard deviation of the data; x_t enters the network divided by that of x_t.
        sigma_min: least noise that a step starts from.
        sigma_max: most noise that a step starts from.
        rho: 7 in the paper; larger puts more steps at low noise.
    """

    sigma_data: float = 0.5
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    most_steps = 1000

    def __post_init__(self) -> None:
        if not (0 < self.sigma_min < self.sigma_max and self.rho > 0 and self.sigma_data > 0):
            raise ValueError(
                f"an EDM path from sigma {self.sigma_max} to {self.sigma_min} with rho {self.rho} and "
                f"sigma_data {self.sigma_data}; all are above 0, and sigma_min below sigma_max"
            )

    @property
    def noisiest(self) -> Level:
        return self.level(self.sigma_max ** (1.0 / self.rho))

    def prior_std(self, level: Level) -> float:
        return level.sigma

    @property
    def listable(self) -> tuple[float, ...]:
        """The values of sigma of the longest sampling."""
        root = 1.0 / self.rho
        sigma = np.linspace(self.sigma_max**root, self.sigma_min**root, self.most_steps) ** self.rho
        return tuple(np.clip(sigma, self.sigma_min, self.sigma_max).tolist())

    def level(self, time: float) -> Level:
        sigma = float(time) ** self.rho
        return Level(1.0, sigma, float(time), scale=1.0 / float(np.hypot(sigma, self.sigma_data)))

    def grid(self, steps: int, spacing: Spacing, *, second_order: bool = False) -> Grid:
        """Lay out levels by Eq. 5 (`karras`), or at the listed values of sigma."""
        root = 1.0 / self.rho
        if spacing == "karras":
            if not 1 <= steps <= self.most_steps:
                raise ValueError(f"steps is {steps}; it lies between 1 and {self.most_steps}")
            times = np.linspace(self.sigma_max**root, self.sigma_min**root, steps)
        elif isinstance(spacing, str):
            raise ValueError(
                f"sampler.spacing is {spacing!r}, and this model is sampled by sigma; set "
                "sampler.spacing=karras, or list descending values of sigma"
            )
        else:
            times = checked_times(spacing, steps, self.sigma_min, self.sigma_max) ** root
        return (*(self.level(float(t)) for t in times), Level(1.0, 0.0, 0.0))


def cosine_vp(steps: int = 4000) -> VP:
    """Make the cosine path (Nichol and Dhariwal 2021, arXiv:2102.09672, Eq. 17), betas at most 0.999."""
    share = np.arange(steps + 1) / steps
    signal = np.cos((share + 0.008) / 1.008 * np.pi / 2) ** 2
    return VP(tuple(np.cumprod(1 - np.minimum(1 - signal[1:] / signal[:-1], 0.999)).tolist()))


def linear_vp(steps: int = 1000) -> VP:
    """Make the path of linear betas, 1e-4 to 0.02 at 1,000 steps (Ho et al. 2020, arXiv:2006.11239).

    At another number of steps the betas are scaled, so that the last level is as noisy.
    """
    scale = 1000 / steps
    return VP(tuple(np.cumprod(1 - np.linspace(scale * 1e-4, scale * 0.02, steps)).tolist()))


def betas_named(betas: str, steps: int) -> VP:
    """Return the path of a rule for betas: `cosine` or `linear`.

    Raises:
        ValueError: it is neither.
    """
    if betas not in ("cosine", "linear"):
        raise ValueError(f"model.betas is {betas!r}; it is cosine or linear")
    return cosine_vp(steps) if betas == "cosine" else linear_vp(steps)
