"""ADM's U-Net as EDM trained it anew (Karras et al. 2022, arXiv:2206.00364), under the names of its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.model.openai_unet import sinusoids
from its.model.song_unet import Block, Conv, norm

HEAD = 64
"""Channels of a head; a block with fewer does not attend, whatever its resolution."""


class DhariwalUNet(nn.Module):
    """The U-Net: scaled images `[n, colours, size, size]`, noise marks `[n]`, one-hot labels `[n, labels]` to an image.

    Args:
        channels: width at full resolution; `multipliers` gives it at each resolution.
        blocks: residual blocks at each resolution on the way down; one more on the way up.
        attention: resolutions at which every block of at least 64 channels attends.
        embedding: width of the embedding of noise marks and labels, in units of `channels`.
    """

    def __init__(
        self,
        size: int,
        colours: int,
        labels: int,
        channels: int,
        multipliers: Sequence[int],
        blocks: int,
        attention: Sequence[int],
        *,
        embedding: int = 4,
    ) -> None:
        super().__init__()
        self.channels, width = channels, embedding * channels
        self.map_layer0, self.map_layer1 = nn.Linear(channels, width), nn.Linear(width, width)
        self.map_label = nn.Linear(labels, width, bias=False) if labels else None
        block = partial(Block, width=width, kernel=(1, 1), adm=True)

        def attending(into: int, out: int, resolution: int) -> Block:
            return block(into, out, heads=out // HEAD if resolution in attention else 0)

        # The way down: every layer's width is noted for the skip connections.
        into = multipliers[0] * channels
        self.enc, self.dec = nn.ModuleDict({f"{size}x{size}_conv": Conv(colours, into, 3)}), nn.ModuleDict()
        skips = [into]
        for level, multiplier in enumerate(multipliers):
            at = f"{size >> level}x{size >> level}"
            if level:
                self.enc[f"{at}_down"] = block(into, into, down=True)
                skips.append(into)
            for index in range(blocks):
                self.enc[f"{at}_block{index}"] = attending(into, multiplier * channels, size >> level)
                into = multiplier * channels
                skips.append(into)

        # The middle, and the way up, which takes the widths of the way down in reverse.
        self.dec[f"{at}_in0"], self.dec[f"{at}_in1"] = block(into, into, heads=into // HEAD), block(into, into)
        for level, multiplier in reversed(list(enumerate(multipliers))):
            at = f"{size >> level}x{size >> level}"
            if level < len(multipliers) - 1:
                self.dec[f"{at}_up"] = block(into, into, up=True)
            for index in range(blocks + 1):
                self.dec[f"{at}_block{index}"] = attending(into + skips.pop(), multiplier * channels, size >> level)
                into = multiplier * channels
        self.out_norm, self.out_conv = norm(into, eps=1e-5), Conv(into, colours, 3)

    def forward(self, x: Tensor, mark: Tensor, labels: Tensor | None = None) -> Tensor:
        # Embed the noise mark and the labels.
        embedding = self.map_layer1(F.silu(self.map_layer0(sinusoids(mark, self.channels).to(x))))
        if self.map_label is not None and labels is not None:
            embedding = embedding + self.map_label(labels.to(x))
        embedding = F.silu(embedding)

        # Go down and up.
        skips = list[Tensor]()
        for layer in self.enc.values():
            x = layer(x, embedding) if isinstance(layer, Block) else layer(x)
            skips.append(x)
        for layer in self.dec.values():
            x = layer(x if x.shape[1] == layer.into else torch.cat([x, skips.pop()], dim=1), embedding)
        return self.out_conv(F.silu(self.out_norm(x)))
