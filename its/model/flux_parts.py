"""Parts that the transformers of FLUX and its kind share: positions, packed latents, and time in float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from its.model.config_file import ConfigFile
from its.parameters import fits

SCALE = 1000.0
"""FLUX multiplies times and guidance by it before it embeds them."""


class ExactTime(nn.Module):
    """The embedding of times and guidance, of float32 values in place of those that a transformer has cast.

    In bfloat16 a transformer would embed 752 for 750.

    Args:
        embedding: the transformer's own, which is called with times first, then with guidance.
        scale: what a transformer multiplies them by before it embeds them.
    """

    def __init__(self, embedding: nn.Module, scale: float) -> None:
        super().__init__()
        self.embedding = embedding
        self._scale = scale
        self._exact: list[Tensor] = []

    def forward(self, cast: Tensor) -> Tensor:
        return self.embedding(self._exact.pop(0))

    def say(self, *values: Tensor | None) -> None:
        """Take what is embedded next: times `[n]` from 0 to 1, and guidance `[n]`."""
        self._exact = [self._scale * value.float() for value in values if value is not None]


def with_exact_time(embedder: Any, scale: float = SCALE) -> ExactTime:
    """Give the embedder of a transformer an exact embedding, and return that; see `ExactTime`."""
    embedder.time_proj = ExactTime(embedder.time_proj, scale)
    return embedder.time_proj


def check_axes(config: ConfigFile, axes: Sequence[int], channels: int) -> None:
    """Refuse rotary embeddings that are not of the places of a token, or not of all channels of a head.

    Args:
        axes, channels: what the network has where its configuration does not say.

    Raises:
        ValueError: they are not.
    """
    stated, width = config.get("axes_dims_rope", axes), config.get("attention_head_dim", channels)
    if not fits(stated, Sequence[int]) or len(stated) != len(axes) or sum(stated) != width:
        raise config.refusal("axes_dims_rope", f"these are {len(axes)}, and {width} together")


def positions(*axes: int) -> Tensor:
    """Return the places of a grid, `[tokens, axes]`, row by row, float32."""
    return torch.cartesian_prod(*(torch.arange(length) for length in axes)).float()


def packed(x: Tensor) -> Tensor:
    """Return latents `[n, C, H, W]` as tokens `[n, H/2 W/2, 4 C]` of two by two."""
    n, channels, height, width = x.shape
    tiles = x.reshape(n, channels, height // 2, 2, width // 2, 2)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(n, height * width // 4, 4 * channels)


def unpacked(tokens: Tensor, height: int, width: int) -> Tensor:
    """Return tokens as latents `[n, C, height, width]`; see `packed`."""
    n, _, channels = tokens.shape
    tiles = tokens.reshape(n, height // 2, width // 2, channels // 4, 2, 2)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(n, channels // 4, height, width)
