"""How signal and noise mix at each of a network's native times, and where a sampling's steps lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack, unpack
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Level:
    """A noise level as a value: `x_t = alpha x_0 + sigma eps`.

    Attributes:
        alpha: signal coefficient, in [0, 1].
        sigma: noise standard deviation, >= 0; 0 is clean.
        time: the network's own clock at this level (its native time input).
        scale: factor on `x_t` before it enters the network.
        norm: `x_t / norm` moves on a straight line while x0_hat and eps_hat stay (alpha on VP and
            EDM paths, 1 on linear flow); second-order samplers average slopes there.
        key: the 64 bits of the native time: what a draw at this level is keyed by.
        packed: the five values as doubles.
    """

    alpha: float
    sigma: float
    time: float
    scale: float = 1.0
    norm: float = 1.0
    key: int = field(init=False, repr=False, compare=False)
    packed: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", pack("<5d", self.alpha, self.sigma, self.time, self.scale, self.norm))
        object.__setattr__(self, "key", int(unpack("<Q", pack("<d", self.time))[0]))

    def __hash__(self) -> int:
        return self.key

    @property
    def clean(self) -> bool:
        return self.sigma == 0.0


Grid = tuple[Level, ...]
"""Levels of one sampling, noisiest first; the last is clean."""


class Columns(NamedTuple):
    """Levels of a batch as float64 columns `[n, 1, ...]` that broadcast over rows."""

    alpha: Tensor
    sigma: Tensor
    time: Tensor
    scale: Tensor
    norm: Tensor

    @classmethod
    def of(cls, levels: Sequence[Level], ndim: int, device: torch.device | str) -> Columns:
        """Columns for rows of `ndim` dimensions, the batch dimension counted."""
        import torch

        table = np.frombuffer(b"".join([level.packed for level in levels])).reshape(len(levels), 5).T.copy()
        return cls(*torch.from_numpy(table).to(device, non_blocking=True).reshape(5, -1, *[1] * (ndim - 1)).unbind())


class Guess(NamedTuple):
    """What the network makes of a state: `x_t = alpha x0_hat + sigma eps_hat` before clipping."""

    x0: Tensor
    eps: Tensor


Spacing = str | Sequence[float]
SPACINGS = ("leading", "trailing", "linspace", "quadratic", "inclusive")


def spaced(spacing: str, steps: int, total: int, *, whole: bool) -> np.ndarray:
    """Times of `steps` steps over `total` training steps, descending float64 in [0, total - 1].

    The rules of diffusers' schedulers (leading, trailing, linspace), of DDIM's CIFAR-10 results
    (quadratic, Song et al. 2020, arXiv:2010.02502, App. D.2: up to 0.8 total) and of
    improved-diffusion and ADM (inclusive: both ends kept, rounded to whole times). `whole` rounds the
    others too, trailing counted from 1 and linspace from 0 as diffusers does. Quadratic times
    that fall on the same whole number are moved up to the next free one, so that no step is empty.
    """
    if spacing not in SPACINGS:
        raise ValueError(f"spacing is {spacing!r}; choose one of {', '.join(SPACINGS)}, or give a list of times")
    if not 1 <= steps <= total:
        raise ValueError(f"steps is {steps}; it lies between 1 and {total}, the training steps of this model")
    k = np.arange(steps)
    mark = np.round if whole else np.asarray
    times = {
        "leading": lambda: k * (total // steps),
        "trailing": lambda: mark(np.arange(total, 0, -total / steps)[:steps][::-1]) - 1,
        "linspace": lambda: mark(np.linspace(0, total - 1, steps)),
        "quadratic": lambda: np.floor(np.linspace(0, np.sqrt(0.8 * total), steps) ** 2),
        "inclusive": lambda: np.round(np.linspace(0, total - 1, steps)),
    }[spacing]()
    distinct = np.maximum.accumulate(times - k) + k if spacing == "quadratic" else times
    return np.asarray(distinct, dtype=np.float64)[::-1]


class Schedule(Protocol):
    """Native time to level."""

    @property
    def prior_std(self) -> float:
        """Standard deviation of x_T at the noisiest level."""
        ...

    @property
    def most_steps(self) -> int:
        """Steps of the longest sampling."""
        ...

    @property
    def listable(self) -> tuple[float, ...]:
        """What a listed spacing may be drawn from in a search: `most_steps` values, noisiest first."""
        ...

    def level(self, time: float) -> Level:
        """The level at a native time."""
        ...

    def grid(self, steps: int, spacing: Spacing, *, whole: bool) -> Grid:
        """`steps + 1` levels, noisiest first, clean last; `whole` rounds times to training steps."""
        ...


@dataclass(frozen=True)
class VP:
    """Variance preserving: alpha^2 + sigma^2 = 1 from a table over training steps (Ho et al. 2020).

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
        """Between training steps sigma / alpha is interpolated, as diffusers' Heun scheduler does."""
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
    """Linear flow: `x_t = (1 - t) x_0 + t eps`, time from 1 to 0 (Lipman et al. 2022, arXiv:2210.02747).

    Attributes:
        shift: time shift `s t / (1 + (s - 1) t)` (Esser et al. 2024, arXiv:2403.03206, Eq. 23); 1 is none.
        time_scale: the network's time input at t = 1 (1000 for diffusers' transformers).
    """

    shift: float = 1.0
    time_scale: float = 1.0
    prior_std = 1.0
    most_steps = 1000

    @property
    def listable(self) -> tuple[float, ...]:
        """Times before the shift."""
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
    """Variance exploding: `x_t = x_0 + sigma eps` (Karras et al. 2022, arXiv:2206.00364).

    Native time is `sigma ** (1 / rho)`, on which Eq. 5 puts steps at equal distances; the network's own input is
    the adapter's business.

    Attributes:
        sigma_data: standard deviation of the data; x_t enters the network divided by that of x_t.
        sigma_min: least noise that a step starts from. sigma_max: of x_T.
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
                f"an EDM schedule from sigma {self.sigma_max} to {self.sigma_min} with rho {self.rho} and "
                f"sigma_data {self.sigma_data}; all are above 0, and sigma_min below sigma_max"
            )

    @property
    def prior_std(self) -> float:
        return self.sigma_max

    @property
    def listable(self) -> tuple[float, ...]:
        """Values of sigma."""
        root = 1.0 / self.rho
        sigma = np.linspace(self.sigma_max**root, self.sigma_min**root, self.most_steps) ** self.rho
        return tuple(np.clip(sigma, self.sigma_min, self.sigma_max).tolist())

    def level(self, time: float) -> Level:
        sigma = float(time) ** self.rho
        return Level(1.0, sigma, float(time), scale=1.0 / float(np.hypot(sigma, self.sigma_data)))

    def grid(self, steps: int, spacing: Spacing, *, whole: bool = False) -> Grid:
        """Levels by Eq. 5 (`karras`), or at the listed values of sigma."""
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
    """The cosine path (Nichol and Dhariwal 2021, arXiv:2102.09672, Eq. 17), betas at most 0.999."""
    share = np.arange(steps + 1) / steps
    kept = np.cos((share + 0.008) / 1.008 * np.pi / 2) ** 2
    return VP(tuple(np.cumprod(1 - np.minimum(1 - kept[1:] / kept[:-1], 0.999)).tolist()))


def linear_vp(steps: int = 1000) -> VP:
    """Linear betas from 1e-4 to 0.02 (Ho et al. 2020, arXiv:2006.11239) at 1,000 steps; the same noise at others."""
    scale = 1000 / steps
    return VP(tuple(np.cumprod(1 - np.linspace(scale * 1e-4, scale * 0.02, steps)).tolist()))


def checked_times(times: Sequence[float], steps: int, low: float, high: float) -> np.ndarray:
    """A listed spacing as an array, or an error that names the rule it breaks."""
    values = np.asarray(times, dtype=np.float64)
    if len(values) != steps or np.any(np.diff(values) >= 0) or values.max() > high or values.min() < low:
        raise ValueError(
            f"sampler.spacing is {list(times)}; it lists sampler.steps={steps} descending times "
            f"between {low} and {high}"
        )
    return values


def ancestral_variance(t: Level, s: Level, eta: float) -> float:
    """Variance of the noise a DDIM step adds: Song et al. 2020 (arXiv:2010.02502), Eq. 16."""
    kept = (t.alpha / s.alpha) ** 2 * s.sigma**2
    return eta**2 * (s.sigma / t.sigma) ** 2 * max(t.sigma**2 - kept, 0.0)


def forward_std(s: Level, t: Level) -> float:
    """Standard deviation of the forward kernel from s up to the noisier t."""
    return math.sqrt(max(t.sigma**2 - (t.alpha / s.alpha) ** 2 * s.sigma**2, 0.0))
