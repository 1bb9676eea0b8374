"""Log-probability of the wanted class under a classifier: the supervised verifier of Ma et al. (2501.09732)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from its.types import Condition


class Classifier:
    """`log p(condition | image)`.

    Args:
        network: images in [-1, 1] `[n, C, H, W]` to logits `[n, classes]`.
    """

    absolute = True

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self.network = network

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        logits = self.network(images)
        wanted = torch.tensor(conditions, dtype=torch.int64).to(logits.device, non_blocking=True)
        return torch.log_softmax(logits.double(), dim=1).gather(1, wanted[:, None]).squeeze(1)
