"""Log-ratios of twisted steps: how likely the sampler's own steps are to lead where these have led."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class LogRatio:
    """The sum of log p - log q over the steps that have led to a state, as far as it has come back from the device.

    Attributes:
        value: the sum.
        pending: steps whose terms are on their way.
        parent: of the state that the first of its own steps began at, until the term of that comes back: after those
            of the parent.
    """

    __slots__ = ("parent", "pending", "value")

    def __init__(self, parent: LogRatio | None) -> None:
        self.value = 0.0
        self.pending = 0
        self.parent = parent

    def add(self, term: float) -> None:
        """Add the term of a step that has come back."""
        if self.parent is not None:
            self.value, self.parent = self.parent.value, None
        self.value += term
        self.pending -= 1


class LogRatios(NamedTuple):
    """A batch of twisted steps, whose terms come back, float64 `[n]`."""

    sums: Sequence[LogRatio]

    def arrive(self, terms: np.ndarray) -> list[Any]:
        """Add each to its sum; no run is over by that."""
        for each, term in zip(self.sums, terms.tolist(), strict=True):
            each.add(term)
        return []
