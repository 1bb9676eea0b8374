"""A network that scores an image whatever it was asked for: the aesthetic predictor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class ImageScore:
    """The score that a network gives to an image; differentiable in it.

    Args:
        network: images `[n, C, H, W]` in about [-1, 1] to scores `[n]`, each row by itself.
    """

    absolute: bool = True

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self.network = network

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images: `[n]`, float64."""
        return self.network(images).double()
