"""DDPM++ and NCSN++ (Song et al. 2020, arXiv:2011.13456), under the names of EDM's CIFAR-10 checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF = math.sqrt(0.5)  # scales the sum of two branches to the variance of one


class SongUNet(nn.Module):
    """The U-Net: scaled images `[n, colours, size, size]`, noise marks `[n]`, one-hot labels `[n, labels]` to an image.

    Args:
        channels: width at full resolution; `multipliers` gives it at each resolution.
        blocks: residual blocks at each resolution on the way down; one more on the way up.
        attention: resolutions whose blocks attend (on the way up, the last block only).
        fourier: whether random features embed the noise mark (NCSN++), and not sinusoids.
        noise_width: number of these features in units of `channels`.
        residual: whether a second path takes the shrunk input down (NCSN++).
        kernel: taps of the filter that resamples, along one side.
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
        fourier: bool,
        noise_width: int,
        residual: bool,
        kernel: Sequence[float],
    ) -> None:
        super().__init__()
        width, marks = 4 * channels, noise_width * channels
        self.map_noise = NoiseMark(marks, fourier)
        self.map_label = nn.Linear(labels, marks) if labels else None
        self.map_layer0, self.map_layer1 = nn.Linear(marks, width), nn.Linear(width, width)
        block = partial(Block, width=width, kernel=kernel)
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        self.enc[f"{size}x{size}_conv"] = Conv(colours, channels, 3)

        # The way down: every layer's width is noted for the skip connections.
        into, skips, shrunk = channels, [channels], colours
        for level, multiplier in enumerate(multipliers):
            at = f"{size >> level}x{size >> level}"
            heads = int(size >> level in attention)
            if level:
                self.enc[f"{at}_down"] = block(into, into, down=True)
                skips.append(into)
            if level and residual:
                self.enc[f"{at}_aux_residual"] = FusedDown(shrunk, into, 3, kernel)
                shrunk = into
            for index in range(blocks):
                self.enc[f"{at}_block{index}"] = block(
                    into, multiplier * channels, heads=int(size >> level in attention)
                )
                into = multiplier * channels
                skips.append(into)

        # The middle, and the way up, which takes the widths of the way down in reverse.
        self.dec[f"{at}_in0"], self.dec[f"{at}_in1"] = block(into, into, heads=1), block(into, into)
        for level, multiplier in reversed(list(enumerate(multipliers))):
            at = f"{size >> level}x{size >> level}"
            if level < len(multipliers) - 1:
                self.dec[f"{at}_up"] = block(into, into, up=True)
            for index in range(blocks + 1):
                heads = int(index == blocks and size >> level in attention)
                self.dec[f"{at}_block{index}"] = block(into + skips.pop(), multiplier * channels, heads=heads)
                into = multiplier * channels
        self.dec[f"{size}x{size}_aux_norm"] = norm(into)
        self.dec[f"{size}x{size}_aux_conv"] = Conv(into, colours, 3)

    def forward(self, x: Tensor, mark: Tensor, labels: Tensor | None = None) -> Tensor:
        # Embed the noise mark and the labels.
        embedding = self.map_noise(mark).to(x)
        if self.map_label is not None and labels is not None:
            embedding = embedding + self.map_label((labels * math.sqrt(self.map_label.in_features)).to(x))
        embedding = F.silu(self.map_layer1(F.silu(self.map_layer0(embedding))))

        # Go down.
        shrunk, skips = x, list[Tensor]()
        for layer in self.enc.values():
            if isinstance(layer, FusedDown):
                x = shrunk = skips[-1] = (x + layer(shrunk)) * HALF
            else:
                x = layer(x, embedding) if isinstance(layer, Block) else layer(x)
                skips.append(x)

        # Go up.
        *layers, last_norm, last = self.dec.values()
        for layer in layers:
            x = layer(x if x.shape[1] == layer.into else torch.cat([x, skips.pop()], dim=1), embedding)
        return last(F.silu(last_norm(x)))


class Block(nn.Module):
    """A residual block of two convolutions, the first of which may resample, and perhaps attention.

    Args:
        heads: of attention; 0 is none.
        adm: as in ADM, and not as in Song et al.: the embedding scales and shifts the second norm, sums keep their
            variance as it is, and what is added is resampled without a convolution where it keeps its width.
    """

    def __init__(
        self,
        into: int,
        out: int,
        *,
        width: int,
        kernel: Sequence[float],
        up: bool = False,
        down: bool = False,
        heads: int = 0,
        adm: bool = False,
    ) -> None:
        super().__init__()
        self.into, self.heads, self.adm, self.share = into, heads, adm, 1.0 if adm else HALF
        resample, normed = kernel if up or down else None, partial(norm, eps=1e-5 if adm else 1e-6)
        self.norm0, self.conv0 = normed(into), Conv(into, out, 3, resample, up)
        self.affine = nn.Linear(width, 2 * out if adm else out)
        self.norm1, self.conv1 = normed(out), Conv(out, out, 3)
        side = 0 if adm and into == out else 1
        self.skip = Conv(into, out, side, resample, up) if into != out or up or down else nn.Identity()
        if heads:
            self.norm2, self.qkv, self.proj = normed(out), Conv(out, 3 * out, 1), Conv(out, out, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        hidden, condition = self.conv0(F.silu(self.norm0(x))), self.affine(embedding)[:, :, None, None]
        if self.adm:
            scale, shift = condition.chunk(2, dim=1)
            hidden = self.norm1(hidden) * (scale + 1) + shift
        else:
            hidden = self.norm1(hidden + condition)
        x = (self.conv1(F.silu(hidden)) + self.skip(x)) * self.share
        if not self.heads:
            return x
        qkv = self.qkv(self.norm2(x)).flatten(2).unflatten(1, (self.heads, -1, 3))
        mixed = F.scaled_dot_product_attention(*qkv.transpose(2, 4).unbind(3))
        return (self.proj(mixed.transpose(2, 3).reshape(x.shape)) + x) * self.share


class Conv(nn.Module):
    """A convolution; a `kernel` is a filter that first halves, or doubles, the image; of side 0 it is that alone."""

    weight: Tensor
    bias: Tensor
    resample_filter: Tensor

    def __init__(self, into: int, out: int, side: int, kernel: Sequence[float] | None = None, up: bool = False) -> None:
        super().__init__()
        self.register_parameter("weight", nn.Parameter(torch.empty(out, into, side, side)) if side else None)
        self.register_parameter("bias", nn.Parameter(torch.empty(out)) if side else None)
        self.up, self.pad = up, side // 2
        taps = None if kernel is None else torch.outer(*2 * [torch.tensor(kernel)])[None, None] / sum(kernel) ** 2
        self.register_buffer("resample_filter", taps)

    def forward(self, x: Tensor) -> Tensor:
        if self.resample_filter is not None:
            taps = self.resample_filter.to(x)
            convolve, factor = (F.conv_transpose2d, 4) if self.up else (F.conv2d, 1)
            x = convolve(
                x,
                factor * taps.repeat(x.shape[1], 1, 1, 1),
                stride=2,
                padding=(taps.shape[-1] - 1) // 2,
                groups=x.shape[1],
            )
        return x if self.weight is None else F.conv2d(x, self.weight, self.bias, padding=self.pad)


class FusedDown(Conv):
    """A convolution with a border wide enough for the filter, which then halves the image."""

    def forward(self, x: Tensor) -> Tensor:
        taps = self.resample_filter.to(x).repeat(len(self.weight), 1, 1, 1)
        wide = F.conv2d(x, self.weight, padding=self.pad + (taps.shape[-1] - 1) // 2)
        return F.conv2d(wide, taps, stride=2, groups=len(taps)) + self.bias[:, None, None]


class NoiseMark(nn.Module):
    """An embedding of marks `[n]`: sines, then cosines, at frequencies from 1 to 1e-4 or at the checkpoint's own."""

    freqs: Tensor

    def __init__(self, width: int, fourier: bool) -> None:
        super().__init__()
        half = width // 2
        fixed = 1e-4 ** (torch.arange(half, dtype=torch.float32) / (half - 1))
        self.register_buffer("freqs", 16 * torch.randn(half) if fourier else fixed, persistent=fourier)
        self.unit = 2 * math.pi if fourier else 1.0

    def forward(self, mark: Tensor) -> Tensor:
        angle = mark[:, None] * (self.unit * self.freqs)
        return torch.cat([angle.sin(), angle.cos()], dim=1)


def norm(channels: int, eps: float = 1e-6) -> nn.GroupNorm:
    """Return a group norm with groups of at least four channels, at most 32 groups."""
    return nn.GroupNorm(min(32, channels // 4), channels, eps=eps)
