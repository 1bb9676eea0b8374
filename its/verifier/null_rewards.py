"""Random rewards, which show how a search changes images without any knowledge of them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class NullRewards:
    """Uniform rewards in [0, 1), keyed by the image's own pixels: random, yet the same on every rerun.

    Args:
        salt: a number in [0, 2^64) that the rewards depend on.
    """

    absolute: bool = True

    def __init__(self, salt: int = 0) -> None:
        self.salt = salt.to_bytes(8, "little")

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images by a hash of their float32 pixels: `[n]`, float64."""
        import torch

        rows = images.float().cpu().numpy()
        keys = [blake2b(row.tobytes(), digest_size=8, key=self.salt).digest() for row in rows]
        return torch.tensor([int.from_bytes(key, "little") / 2**64 for key in keys], dtype=torch.float64)
