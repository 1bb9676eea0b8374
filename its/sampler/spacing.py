"""Spacing rules: where the steps of a sampling lie among the training steps of a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Spacing = str | Sequence[float]
"""A rule by name, or a list of times."""

SPACINGS = ("leading", "trailing", "linspace", "quadratic", "inclusive")

CHECKPOINT = "checkpoint"
"""The rule that stands in the checkpoint's own scheduler, where the model's noise path knows it."""

OPEN = ("open_leading", "open_linspace")
"""The rules of diffusers' DPMSolverMultistepScheduler: one step more than asked for, of which the cleanest is left."""

EVEN = "even"
"""The rule of diffusers' EulerDiscreteScheduler for linspace, whose times are not rounded."""


def spaced(spacing: str, steps: int, total: int, *, whole: bool) -> np.ndarray:
    """Place `steps` steps among `total` training steps: descending float64 times in [0, total - 1].

    The rules of diffusers' schedulers (leading, trailing, linspace), of DDIM's CIFAR-10 results
    (quadratic, Song et al. 2020, arXiv:2010.02502, App. D.2: up to 0.8 total) and of
    improved-diffusion and ADM (inclusive: both ends included, a running sum of equal strides rounded to whole times);
    and those of `OPEN` and `EVEN`.

    Args:
        whole: round the times of the other rules too, trailing counted from 1 and linspace from 0 as diffusers does.

    Raises:
        ValueError: no such rule, or more steps than `total`.
    """
    if spacing not in (*SPACINGS, *OPEN, EVEN):
        raise ValueError(f"spacing is {spacing!r}; choose one of {', '.join(SPACINGS)}, or give a list of times")
    if not 1 <= steps <= total:
        raise ValueError(f"steps is {steps}; it lies between 1 and {total}, the training steps of this model")
    if spacing in OPEN:
        more = np.arange(1, steps + 1)
        open_times = more * (total // (steps + 1)) if spacing == OPEN[0] else np.linspace(0, total - 1, steps + 1)[1:]
        return np.round(open_times).astype(np.float64)[::-1]
    k = np.arange(steps)
    rounded = np.round if whole else np.asarray
    times = {
        "leading": lambda: k * (total // steps),
        "trailing": lambda: rounded(np.arange(total, 0, -total / steps)[:steps][::-1]) - 1,
        "linspace": lambda: rounded(np.linspace(0, total - 1, steps)),
        EVEN: lambda: np.linspace(0, total - 1, steps),
        "quadratic": lambda: np.floor(np.linspace(0, np.sqrt(0.8 * total), steps) ** 2),
        "inclusive": lambda: np.round(np.cumsum(np.r_[0.0, np.full(steps - 1, (total - 1) / max(1, steps - 1))])),
    }[spacing]()
    # Move quadratic times that share a whole number up to the next free one, so that no step is empty.
    distinct = np.maximum.accumulate(times - k) + k if spacing == "quadratic" else times
    return np.asarray(distinct, dtype=np.float64)[::-1]


def checked_times(times: Sequence[float], steps: int, low: float, high: float) -> np.ndarray:
    """Return a listed spacing as a float64 array.

    Raises:
        ValueError: it does not list `steps` descending times in [low, high].
    """
    values = np.asarray(times, dtype=np.float64)
    if len(values) != steps or np.any(np.diff(values) >= 0) or values.max() > high or values.min() < low:
        raise ValueError(
            f"sampler.spacing is {list(times)}; it lists sampler.steps={steps} descending times "
            f"between {low} and {high}"
        )
    return values


def shifted(t: float, shift: float) -> float:
    """Return a time of linear flow after its shift; see `its.sampler.noise_paths.Flow`."""
    return shift * t / (1 + (shift - 1) * t)
