"""Noise paths: how signal and noise mix at each native time, and where the steps of a sampling lie on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from its.levels import Grid, Level
from its.sampler.spacing import Spacing, checked_times, spaced


class NoisePath(Protocol):
    """The mix of signal and noise that a network was trained on, as a function of its native time.

    `its.levels.Level.time` says what native time is.
    """

    @property
    def prior_std(self) -> float:
        """The standard deviation of x_T, the row at the noisiest level."""
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

    def grid(self, steps: int, spacing: Spacing, *, whole: bool) -> Grid:
        """Lay out `steps + 1` levels, noisiest first, clean last.

        Args:
            spacing: a rule by name, or a list of `steps` values as in `listable`.
            whole: round times to training steps.

        Raises:
            ValueError: there is no such rule for this path, or the list breaks one.
        """
        ...


@dataclass(frozen=True)
class VP:
    """The variance-preserving path: alpha^2 + sigma^2 = 1, from a table over training steps.

    Ho et al. 2020 (arXiv:2006.11239). Native time is the training step.

    Attributes:
        alphas_cumprod: alpha^2 at each training step, descending.
        offset: added to the times of `leading` spacing (diffusers' `steps_offset`).
    """

    alphas_cumprod: tuple[float, ...]
    offset: int = 0
    prior_std = 1.0

    @property
    def most_steps(self) -> int:
        return len(self.alphas_cumprod)

    @property
    def listable(self) -> tuple[float, ...]:
        return tuple(float(time) for time in reversed(range(self.most_steps)))

    def level(self, time: float) -> Level:
        """Return the level at a training step, or between two by interpolating sigma / alpha.

        diffusers' Heun scheduler interpolates so.
        """
        table = np.asarray(self.alphas_cumprod)
        ratio = np.interp(time, np.arange(len(table)), np.sqrt((1 - table) / table))
        alpha = 1.0 / np.sqrt(1.0 + ratio**2)
        return Level(float(alpha), float(ratio * alpha), float(time), norm=float(alpha))

    def grid(self, steps: int, spacing: Spacing, *, whole: bool) -> Grid:
        total = len(self.alphas_cumprod)
        if isinstance(spacing, str):
            times = spaced(spacing, steps, total, whole=whole) + (self.offset if spacing == "leading" else 0)
        else:
            times = checked_times(spacing, steps, 0, total - 1)
        return (*(self.level(float(t)) for t in times), Level(1.0, 0.0, -1.0))


@dataclass(frozen=True)
class Flow:
    """The linear flow path: `x_t = (1 - t) x_0 + t eps`, t from 1 to 0 (Lipman et al. 2022, arXiv:2210.02747).

    Native time is `time_scale * t`.

    Attributes:
        shift: time shift `s t / (1 + (s - 1) t)` (Esser et al. 2024, arXiv:2403.03206, Eq. 23); 1 is none.
        time_scale: native time at t = 1 (1000 for diffusers' transformers).
    """

    shift: float = 1.0
    time_scale: float = 1.0
    prior_std = 1.0
    most_steps = 1000

    @property
    def listable(self) -> tuple[float, ...]:
        """The native times before the shift."""
        return tuple(k * self.time_scale / self.most_steps for k in range(self.most_steps, 0, -1))

    def level(self, time: float) -> Level:
        t = time / self.time_scale
        return Level(1.0 - t, t, time)

    def grid(self, steps: int, spacing: Spacing, *, whole: bool = False) -> Grid:
        if isinstance(spacing, str):
            t = (spaced(spacing, steps, self.most_steps, whole=False) + 1) / self.most_steps
        else:
            t = checked_times(spacing, steps, 0.0, self.time_scale) / self.time_scale
        t = self.shift * t / (1 + (self.shift - 1) * t)
        return (*(self.level(float(v * self.time_scale)) for v in t), Level(1.0, 0.0, 0.0))


@dataclass(frozen=True)
class EDM:
    """The variance-exploding path: `x_t = x_0 + sigma eps` (Karras et al. 2022, arXiv:2206.00364).

    Native time is `sigma ** (1 / rho)`, on which Eq. 5 places steps at equal distances.

    Attributes:
        sigma_data: standard deviation of the data; x_t enters the network divided by that of x_t.
        sigma_min: least noise that a step starts from.
        sigma_max: standard deviation of x_T.
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
    def prior_std(self) -> float:
        return self.sigma_max

    @property
    def listable(self) -> tuple[float, ...]:
        """The values of sigma of the longest sampling."""
        root = 1.0 / self.rho
        sigma = np.linspace(self.sigma_max**root, self.sigma_min**root, self.most_steps) ** self.rho
        return tuple(np.clip(sigma, self.sigma_min, self.sigma_max).tolist())

    def level(self, time: float) -> Level:
        sigma = float(time) ** self.rho
        return Level(1.0, sigma, float(time), scale=1.0 / float(np.hypot(sigma, self.sigma_data)))

    def grid(self, steps: int, spacing: Spacing, *, whole: bool = False) -> Grid:
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
