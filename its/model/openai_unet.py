"""The U-Net of improved-diffusion (Nichol and Dhariwal 2021, arXiv:2102.09672), under the names of its checkpoints.

diffusers' UNet2DModel has one width per attention head, and this network has `heads` heads at every width.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUPS = 32


class OpenAIUNet(nn.Module):
    """The U-Net: images `[n, colours, size, size]` and times `[n]` to `[n, outputs, size, size]`.

    Args:
        channels: width at full resolution, a multiple of 32; `multipliers` gives it at each halving.
        blocks: residual blocks at each resolution on the way down; one more on the way up.
        attention: resolutions at which every block is followed by self-attention.
        heads: number of heads of every attention.
        outputs: channels of the output.
        scale_shift: the time embedding scales and shifts the second norm; otherwise it is added before it.
        classes: number of classes of a class-conditional network; None is unconditional.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        blocks: int,
        multipliers: Sequence[int],
        attention: Iterable[int],
        heads: int,
        outputs: int,
        *,
        colours: int = 3,
        scale_shift: bool = True,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        width = 4 * channels
        attended = frozenset(attention)
        self.channels = channels
        self.time_embed = nn.Sequential(nn.Linear(channels, width), nn.SiLU(), nn.Linear(width, width))
        if classes is not None:
            self.label_emb = nn.Embedding(classes, width)

        def block(into: int, out: int, resolution: int) -> list[nn.Module]:
            mix = [Attention(out, heads)] if resolution in attended else []
            return [Residual(into, out, width, scale_shift), *mix]

        # The way down: every layer's width is noted for the skip connections.
        into = channels
        self.input_blocks = nn.ModuleList([Stage(nn.Conv2d(colours, into, 3, padding=1))])
        widths = [into]
        for level, multiplier in enumerate(multipliers):
            if level:
                self.input_blocks.append(Stage(halved(into)))
                widths.append(into)
            for _ in range(blocks):
                self.input_blocks.append(Stage(*block(into, multiplier * channels, size >> level)))
                into = multiplier * channels
                widths.append(into)

        # The middle.
        self.middle_block = Stage(
            Residual(into, into, width, scale_shift),
            Attention(into, heads),
            Residual(into, into, width, scale_shift),
        )

        # The way up, which takes the widths of the way down in reverse.
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for index in range(blocks + 1):
                layers = block(into + widths.pop(), multiplier * channels, size >> level)
                into = multiplier * channels
                up = [doubled(into)] if level and index == blocks else []
                self.output_blocks.append(Stage(*layers, *up))
        self.out = nn.Sequential(nn.GroupNorm(GROUPS, into), nn.SiLU(), nn.Conv2d(into, outputs, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        embedding = self.time_embed(sinusoids(time, self.channels).to(x))
        if labels is not None:
            embedding = embedding + self.label_emb(labels)
        skips: list[Tensor] = []
        for stage in self.input_blocks:
            x = stage(x, embedding)
            skips.append(x)
        x = self.middle_block(x, embedding)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skips.pop()], dim=1), embedding)
        return self.out(x)


class Stage(nn.Sequential):
    """Layers in a row; residual blocks take the embedding too."""

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, Residual) else layer(x)
        return x


class Residual(nn.Module):
    """A residual block: norm, SiLU, convolution, twice; the embedding enters before the second."""

    def __init__(self, into: int, out: int, embedding: int, scale_shift: bool) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(nn.GroupNorm(GROUPS, into), nn.SiLU(), nn.Conv2d(into, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * out if scale_shift else out))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, out), nn.SiLU(), nn.Identity(), nn.Conv2d(out, out, 3, padding=1)
        )
        self.skip_connection = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        hidden = self.in_layers(x)
        condition = self.emb_layers(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = condition.chunk(2, dim=1)
            hidden = self.out_layers[1:](self.out_layers[0](hidden) * (1 + scale) + shift)
        else:
            hidden = self.out_layers(hidden + condition)
        return self.skip_connection(x) + hidden


class Attention(nn.Module):
    """Self-attention over positions; the channels of `qkv` are grouped by head, then q, k, v."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        qkv = self.qkv(self.norm(flat)).unflatten(1, (self.heads, 3, -1)).transpose(-1, -2)
        mixed = F.scaled_dot_product_attention(*qkv.unbind(2))
        return (flat + self.proj_out(mixed.transpose(-1, -2).flatten(1, 2))).reshape(x.shape)


def halved(channels: int) -> nn.Module:
    """Return a convolution that halves the resolution."""
    return nn.Sequential(OrderedDict(op=nn.Conv2d(channels, channels, 3, stride=2, padding=1)))


def doubled(channels: int) -> nn.Module:
    """Return layers that double the resolution: nearest neighbours, then a convolution."""
    return nn.Sequential(
        OrderedDict(nearest=nn.Upsample(scale_factor=2), conv=nn.Conv2d(channels, channels, 3, padding=1))
    )


def sinusoids(time: Tensor, width: int) -> Tensor:
    """Embed times `[n]` as cosines, then sines, at `width / 2` frequencies from 1 down to 1e-4: `[n, width]`."""
    half = width // 2
    frequency = torch.exp(-math.log(10_000.0) / half * torch.arange(half, dtype=torch.float32, device=time.device))
    angle = time.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)
