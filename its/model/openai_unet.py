"""The U-Nets of improved-diffusion and guided-diffusion (ADM), under the names of their checkpoints.

Nichol and Dhariwal 2021 (arXiv:2102.09672), Dhariwal and Nichol 2021 (arXiv:2105.05233). diffusers' UNet2DModel has one
width per attention head, and improved-diffusion's has `heads` heads at every width; it has no legacy order either.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.parameters import check

AttentionOrder = Literal["legacy", "new"]
"""How the channels of `qkv` lie: by head, and in each q, k, v (`legacy`); or all q, all k, all v, each by head."""


@dataclass(frozen=True)
class Layers:
    """The settings that all layers of one network share.

    Attributes:
        embedding: width of the embedding of times.
        scale_shift: the embedding scales and shifts the second norm; otherwise it is added before it.
        heads: number of heads of every attention.
        head_channels: width of a head, instead of their number.
        attention_order: see `AttentionOrder`.
        resblock_updown: residual blocks halve and double the resolution; otherwise convolutions do.
    """

    embedding: int
    scale_shift: bool = True
    heads: int | None = None
    head_channels: int | None = None
    attention_order: AttentionOrder = "legacy"
    resblock_updown: bool = False

    def __post_init__(self) -> None:
        check(self, "model", heads=1, head_channels=1)

    def residual(self, into: int, out: int, resample: nn.Module | None = None) -> Residual:
        return Residual(into, out, self.embedding, self.scale_shift, resample)

    def attention(self, channels: int) -> Attention:
        """Make a self-attention.

        Raises:
            ValueError: its heads are given twice, not at all, or do not divide the channels.
        """
        if (self.heads is None) == (self.head_channels is None):
            raise ValueError(
                f"model.heads is {self.heads} and model.head_channels is {self.head_channels}; one of them says how "
                "many heads there are, the other is null"
            )
        name, number = ("heads", self.heads) if self.heads else ("head_channels", self.head_channels or 1)
        if channels % number:
            raise ValueError(f"model.{name} is {number}, which does not divide {channels} channels")
        return Attention(channels, self.heads or channels // number, self.attention_order)

    def block(self, into: int, out: int, *, attends: bool) -> list[nn.Module]:
        return [self.residual(into, out), *([self.attention(out)] if attends else [])]

    def halved(self, channels: int) -> nn.Module:
        return self.residual(channels, channels, nn.AvgPool2d(2)) if self.resblock_updown else halved(channels)

    def doubled(self, channels: int) -> nn.Module:
        nearest = nn.Upsample(scale_factor=2)
        return self.residual(channels, channels, nearest) if self.resblock_updown else doubled(channels)


class Encoder(nn.Module):
    """The embedding of times and labels, the way down and the middle; see `OpenAIUNet` for the sizes.

    Attributes:
        widths: channels behind each of `input_blocks`; the middle has the last.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        blocks: int,
        multipliers: Sequence[float],
        attention: Iterable[int],
        layers: Layers,
        *,
        colours: int = 3,
        classes: int | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.time_embed = nn.Sequential(
            nn.Linear(channels, layers.embedding), nn.SiLU(), nn.Linear(layers.embedding, layers.embedding)
        )
        if classes is not None:
            self.label_emb = nn.Embedding(classes, layers.embedding)

        # The way down: every layer's width is noted for the skip connections.
        resolutions = frozenset(attention)
        into = int(multipliers[0] * channels)
        self.input_blocks = nn.ModuleList([Stage(nn.Conv2d(colours, into, 3, padding=1))])
        self.widths = [into]
        for level, multiplier in enumerate(multipliers):
            if level:
                self.input_blocks.append(Stage(layers.halved(into)))
                self.widths.append(into)
            for _ in range(blocks):
                out = int(multiplier * channels)
                self.input_blocks.append(Stage(*layers.block(into, out, attends=size >> level in resolutions)))
                into = out
                self.widths.append(into)

        # The middle.
        self.middle_block = Stage(layers.residual(into, into), layers.attention(into), layers.residual(into, into))

    def encoded(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return what the middle makes, the embedding, and what each of `input_blocks` makes."""
        embedding = self.time_embed(sinusoids(time, self.channels).to(x))
        if labels is not None:
            embedding = embedding + self.label_emb(labels)
        skips: list[Tensor] = []
        for stage in self.input_blocks:
            x = stage(x, embedding)
            skips.append(x)
        return self.middle_block(x, embedding), embedding, skips


class OpenAIUNet(Encoder):
    """The U-Net: images `[n, colours, size, size]` and times `[n]` to `[n, outputs, size, size]`.

    Args:
        channels: width of which `multipliers` gives that at full resolution and at each halving, a multiple of 32.
        blocks: residual blocks at each resolution on the way down; one more on the way up.
        attention: resolutions at which every block is followed by self-attention.
        outputs: channels of the output.
        heads, head_channels, attention_order, scale_shift, resblock_updown: see `Layers`.
        classes: number of classes of a class-conditional network; None is unconditional.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        blocks: int,
        multipliers: Sequence[float],
        attention: Iterable[int],
        heads: int | None,
        outputs: int,
        *,
        colours: int = 3,
        head_channels: int | None = None,
        attention_order: AttentionOrder = "legacy",
        scale_shift: bool = True,
        resblock_updown: bool = False,
        classes: int | None = None,
    ) -> None:
        resolutions = frozenset(attention)
        layers = Layers(4 * channels, scale_shift, heads, head_channels, attention_order, resblock_updown)
        super().__init__(size, channels, blocks, multipliers, resolutions, layers, colours=colours, classes=classes)

        # The way up takes the widths of the way down in reverse.
        widths, into = list(self.widths), self.widths[-1]
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for index in range(blocks + 1):
                out = int(multiplier * channels)
                stage = layers.block(into + widths.pop(), out, attends=size >> level in resolutions)
                into = out
                up = [layers.doubled(into)] if level and index == blocks else []
                self.output_blocks.append(Stage(*stage, *up))
        self.out = nn.Sequential(norm(into), nn.SiLU(), nn.Conv2d(into, outputs, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        x, embedding, skips = self.encoded(x, time, labels)
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
    """A residual block: norm, SiLU, convolution, twice; the embedding enters before the second.

    Args:
        resample: halves or doubles the resolution, before the first convolution and of what is added; None leaves it.
    """

    def __init__(
        self, into: int, out: int, embedding: int, scale_shift: bool, resample: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.resample = resample or nn.Identity()
        self.in_layers = nn.Sequential(norm(into), nn.SiLU(), nn.Conv2d(into, out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, 2 * out if scale_shift else out))
        self.out_layers = nn.Sequential(norm(out), nn.SiLU(), nn.Identity(), nn.Conv2d(out, out, 3, padding=1))
        self.skip_connection = nn.Identity() if into == out else nn.Conv2d(into, out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        hidden = self.in_layers[-1](self.resample(self.in_layers[:-1](x)))
        condition = self.emb_layers(embedding)[:, :, None, None]
        if self.scale_shift:
            scale, shift = condition.chunk(2, dim=1)
            hidden = self.out_layers[1:](self.out_layers[0](hidden) * (1 + scale) + shift)
        else:
            hidden = self.out_layers(hidden + condition)
        return self.skip_connection(self.resample(x)) + hidden


class Attention(nn.Module):
    """Self-attention over positions."""

    def __init__(self, channels: int, heads: int, order: AttentionOrder = "legacy") -> None:
        super().__init__()
        self.heads = heads
        self.order: AttentionOrder = order
        self.norm = norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        mixed = attended(self.qkv(self.norm(flat)), self.heads, self.order)
        return (flat + self.proj_out(mixed)).reshape(x.shape)


def attended(qkv: Tensor, heads: int, order: AttentionOrder) -> Tensor:
    """Mix the values of `[n, 3 channels, positions]` by their queries and keys: `[n, channels, positions]`."""
    legacy = order == "legacy"
    parts = qkv.unflatten(1, (heads, 3, -1) if legacy else (3, heads, -1)).transpose(-1, -2)
    mixed = F.scaled_dot_product_attention(*parts.unbind(2 if legacy else 1))
    return mixed.transpose(-1, -2).flatten(1, 2)


def norm(channels: int) -> nn.GroupNorm:
    """Return a group norm of 32 groups; of one a channel in a network narrower than any that is published."""
    return nn.GroupNorm(min(32, channels), channels)


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
