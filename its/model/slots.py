"""Network rows of an evaluation under classifier-free guidance or autoguidance, by level.

Kynkäänniemi et al. 2024 (arXiv:2404.07724): guidance is on in an interval of noise levels, and off above and below it.
In another one layers of the network are skipped in a third row. Imports no torch, so that a plan knows prices.
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

INTERVALS = {
    "guidance_interval": "guidance is on, both included, or null for always",
    "skip_interval": "layers are skipped, both included, or null for nowhere",
}
"""What an interval of levels limits, by the name of the model's parameter."""

ROUNDING = 1e-9
"""Share of an end by which a level may miss it and still be included."""


@dataclass(frozen=True)
class Slots:
    """Two network rows where guidance is on, one where it is off; under autoguidance one of them is another network's.

    Attributes:
        most: rows of the dearest evaluation: 1 without guidance, else 2, or 3 if layers are skipped somewhere.
        low, high: what guidance is on between, both ends included.
        skip_low, skip_high: what layers are skipped between, where guidance is on: a third row.
        by: attribute of a level that is compared with them: its native time, or sigma on EDM's path.
    """

    most: int = 1
    low: float = -math.inf
    high: float = math.inf
    by: str = "time"
    skip_low: float = math.inf
    skip_high: float = -math.inf

    @classmethod
    def of(
        cls,
        scale: float,
        interval: Sequence[float] | None,
        path: NoisePath,
        *,
        autoguided: bool = False,
        skip_interval: Sequence[float] | None = None,
    ) -> Slots:
        """Return the slots of a model with `guidance_scale` and `guidance_interval`.

        Args:
            autoguided: whether the second row is another network's.
            skip_interval: what layers are skipped between; None is nowhere.

        Raises:
            ValueError: an interval is not two ascending numbers, or there is no guidance that it could limit, or that
                is autoguidance; or the other network would never be asked.
        """
        most = 1 if scale == 1.0 else 2
        if autoguided:
            check_autoguided(most, interval)
        for name, given in (("guidance_interval", interval), ("skip_interval", skip_interval)):
            if given is not None and (ends := check_interval(given, name)) and most == 1:
                raise ValueError(
                    f"model.{name} is {ends} and model.guidance_scale is 1, under which nothing is guided "
                    f"anyway; set model.{name}=null, or another model.guidance_scale"
                )
        (low, high), (skip_low, skip_high) = _widened(interval, math.inf), _widened(skip_interval, -math.inf)
        return cls(most if skip_interval is None else 3, low, high, listed_by(path), skip_low, skip_high)

    @property
    def fewest(self) -> int:
        """Return the rows of the cheapest evaluation, or 1, of which any evaluation is a multiple."""
        return self.most if math.isinf(self.low) and self.most < 3 else 1

    def at(self, level: Level) -> int:
        """Return the rows of an evaluation at a level."""
        value = getattr(level, self.by)
        return 1 + (self.most > 1 and self._guides(value)) + (self.most > 2 and self._skips(value))

    def inside(self, levels: Columns) -> Tensor | None:
        """Return at which rows guidance is on, bool `[n]`; None if as many rows are taken everywhere."""
        return None if self.fewest == self.most else self._guides(getattr(levels, self.by)).flatten()

    def skipped(self, levels: Columns) -> Tensor | None:
        """Return at which rows layers are skipped, bool `[n]`; None if at none."""
        return self._skips(getattr(levels, self.by)).flatten() if self.most > 2 else None

    def _guides(self, value: Any) -> Any:
        return (self.low <= value) & (value <= self.high)

    def _skips(self, value: Any) -> Any:
        return self._guides(value) & (self.skip_low <= value) & (value <= self.skip_high)


def _widened(interval: Sequence[float] | None, reach: float) -> tuple[float, float]:
    """Return the ends of an interval with room for rounding; of none, -reach and reach."""
    if interval is None:
        return -reach, reach
    low, high = interval
    return low - ROUNDING * abs(low), high + ROUNDING * abs(high)


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


def check_interval(interval: Any, name: str = "guidance_interval") -> list[float]:
    """Return the two ends of an interval.

    Args:
        name: of the model's parameter.

    Raises:
        ValueError: it is not a list of two ascending, finite numbers.
    """
    if fits(interval, Sequence[float]) and len(interval) == 2 and -math.inf < interval[0] < interval[1] < math.inf:
        return [*interval]
    raise ValueError(
        f"model.{name} is {interval!r}; it is a list of two ascending numbers, the native times (sigma on EDM models) "
        f"between which {INTERVALS[name]}"
    )
