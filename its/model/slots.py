"""Network rows of an evaluation under classifier-free guidance or autoguidance, by level.

Kynkäänniemi et al. 2024 (arXiv:2404.07724): guidance is on in an interval of noise levels, and off above and below it.
Imports no torch, so that a plan knows prices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from its.levels import Columns, Level
from its.parameters import fits
from its.sampler.noise_paths import NoisePath, listed_by

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-9
"""Share of an end by which a level may miss it and still be included."""


@dataclass(frozen=True)
class Slots:
    """Two network rows where guidance is on, one where it is off; under autoguidance one of them is another network's.

    Attributes:
        most: rows of the dearest evaluation: 1 without guidance, else 2.
        low, high: what guidance is on between, both ends included.
        by: attribute of a level that is compared with them: its native time, or sigma on EDM's path.
    """

    most: int = 1
    low: float = -math.inf
    high: float = math.inf
    by: str = "time"

    @classmethod
    def of(cls, scale: float, interval: Sequence[float] | None, path: NoisePath, *, autoguided: bool = False) -> Slots:
        """Return the slots of a model with `guidance_scale` and `guidance_interval`.

        Args:
            autoguided: whether the second row is another network's.

        Raises:
            ValueError: the interval is not two ascending numbers, or there is no guidance that it could limit, or that
                is autoguidance; or the other network would never be asked.
        """
        most = 1 if scale == 1.0 else 2
        if autoguided:
            check_autoguided(most, interval)
        if interval is None:
            return cls(most)
        ends = check_interval(interval)
        if most == 1:
            raise ValueError(
                f"model.guidance_interval is {ends} and model.guidance_scale is 1, under which nothing is guided "
                "anyway; set model.guidance_interval=null, or another model.guidance_scale"
            )
        low, high = (end + side * ROUNDING * abs(end) for end, side in zip(ends, (-1, 1), strict=True))
        return cls(most, low, high, listed_by(path))

    @property
    def fewest(self) -> int:
        """Return the rows of the cheapest evaluation."""
        return self.most if math.isinf(self.low) else 1

    def at(self, level: Level) -> int:
        """Return the rows of an evaluation at a level."""
        return self.most if self.most == 1 or self._covers(getattr(level, self.by)) else 1

    def inside(self, levels: Columns) -> Tensor | None:
        """Return at which rows guidance is on, bool `[n]`; None if it is not limited."""
        return None if math.isinf(self.low) else self._covers(getattr(levels, self.by)).flatten()

    def _covers(self, value: Any) -> Any:
        return (self.low <= value) & (value <= self.high)


def check_conditional(guidance_scale: float, conditional: bool) -> None:
    """Refuse to guide a model that is not given the conditions.

    Raises:
        ValueError: naming the scale.
    """
    if guidance_scale != 1.0 and not conditional:
        raise ValueError(
            f"model.guidance_scale is {guidance_scale} on an unconditional model; "
            "set model.conditional=true or model.guidance_scale=1"
        )


def check_autoguided(most: int, interval: Any) -> None:
    """Refuse autoguidance that is off, or on at some levels: FLOPs per NFE are one number, for both networks alike.

    Raises:
        ValueError: naming the remedy.
    """
    if most == 1:
        raise ValueError(
            "model.guidance_scale is 1, under which the network of model.autoguidance is never asked; set "
            "model.autoguidance=null, or another model.guidance_scale"
        )
    if interval is not None:
        raise ValueError(
            f"model.guidance_interval is {interval!r} beside model.autoguidance, whose network is another and costs "
            "FLOPs of its own: both are asked at every level; set model.guidance_interval=null"
        )


def check_interval(interval: Any) -> list[float]:
    """Return the two ends of an interval.

    Raises:
        ValueError: it is not a list of two ascending, finite numbers.
    """
    if fits(interval, Sequence[float]) and len(interval) == 2 and -math.inf < interval[0] < interval[1] < math.inf:
        return [*interval]
    raise ValueError(
        f"model.guidance_interval is {interval!r}; it is a list of two ascending numbers, the native times (sigma on "
        "EDM models) between which guidance is on, both included, or null for always"
    )
