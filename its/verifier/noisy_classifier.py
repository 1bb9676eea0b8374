"""A noise-aware classifier as the guide of classifier guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from its.levels import Columns
from its.types import Condition
from its.verifier.classifier import of_classes

if TYPE_CHECKING:
    from torch import Tensor


class NoisyClassifier:
    """The log-probability `log p(condition | x_t, t)`, for `guidance=cg` alone.

    Dhariwal and Nichol 2021 (arXiv:2105.05233).

    Args:
        network: rows x_t `[n, C, H, W]` and float64 columns alpha, sigma `[n, 1, 1, 1]` to logits `[n, classes]`.
    """

    absolute = True
    reads: ClassVar[type] = int
    noise_aware = True

    def __init__(self, network: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.network = network

    def reward(self, images: Tensor, conditions: Sequence[Condition], levels: Columns) -> Tensor:
        """Score rows x_t `[n, C, H, W]` at `levels`: `[n]`, float64."""
        logits = self.network(images, levels.alpha, levels.sigma).double()
        return of_classes(logits.log_softmax(dim=1), conditions)
