"""A noise-aware classifier as the guide of classifier guidance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from its.levels import Columns
from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class NoisyClassifier:
    """The log-probability `log p(condition | x_t, t)`, for `guidance=cg` alone.

    Dhariwal and Nichol 2021 (arXiv:2105.05233).

    Args:
        network: rows x_t `[n, C, H, W]` and columns alpha, sigma `[n, 1, 1, 1]` to logits `[n, classes]`.
    """

    absolute = True
    noise_aware = True

    def __init__(self, network: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.network = network

    def reward(self, images: Tensor, conditions: Sequence[Condition], levels: Columns) -> Tensor:
        """Score rows x_t `[n, C, H, W]` at `levels`: `[n]`, float64."""
        import torch

        logits = self.network(images, levels.alpha.to(images), levels.sigma.to(images))
        classes = torch.tensor(conditions, dtype=torch.int64).to(logits.device, non_blocking=True)
        return torch.log_softmax(logits.double(), dim=1).gather(1, classes[:, None]).squeeze(1)
