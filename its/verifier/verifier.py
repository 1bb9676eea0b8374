"""What a verifier is: it scores images during a search, and never measures the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from its.types import Condition


class Verifier(Protocol):
    """Scores images; higher is better."""

    absolute: bool
    """Whether a reward means the same in any company; a rank ensemble's does not."""

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Rewards `[n]` of images or guesses `[n, C, H, W]` in about [-1, 1]; a row's depends on it alone."""
        ...
