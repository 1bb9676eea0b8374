"""The conversion between images in [-1, 1] and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

RULE = "round(127.5 (x + 1)), clamped"


def to_uint8(images: Tensor) -> Tensor:
    """Convert images in [-1, 1] `[n, C, H, W]` to uint8 `[n, H, W, C]`; values beyond are clamped."""
    return (127.5 * (images + 1.0)).round().clamp(0, 255).byte().movedim(1, -1)


def from_uint8(images: Tensor) -> Tensor:
    """Convert uint8 `[n, H, W, C]` to float32 in [-1, 1] `[n, C, H, W]`."""
    return images.movedim(-1, 1).float() / 127.5 - 1.0
