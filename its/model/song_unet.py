"""DDPM++ and NCSN++ (Song et al. 2020, arXiv:2011.13456) as EDM's CIFAR-10 checkpoints hold them, under their names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HALF = math.sqrt(0.5)  # takes the sum of two branches back to the variance of one


class SongUNet(nn.Module):
    """Scaled images `[n, colours, size, size]`, noise marks `[n]` and one-hot labels `[n, labels]` to an image.

    Args:
        channels: width before `multipliers`, one for each resolution. blocks: residual ones on each; one more going up.
        attention: resolutions whose blocks attend (on the way up, the last block only).
        fourier: random features embed the noise mark (NCSN++), or sinusoids; `noise_width` times `channels` of them.
        residual: a second path carries the shrunk input down (NCSN++).
        kernel: one side of the filter that resamples.
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
        now, skips, carried = channels, [channels], colours
        for level, multiplier in enumerate(multipliers):
            at = f"{size >> level}x{size >> level}"
            if level:
                self.enc[f"{at}_down"] = block(now, now, down=True)
                skips.append(now)
            if level and residual:
                self.enc[f"{at}_aux_residual"] = FusedDown(carried, now, 3, kernel)
                carried = now
            for index in range(blocks):
                self.enc[f"{at}_block{index}"] = block(now, multiplier * channels, attend=size >> level in attention)
                now = multiplier * channels
                skips.append(now)
        self.dec[f"{at}_in0"], self.dec[f"{at}_in1"] = block(now, now, attend=True), block(now, now)
        for level, multiplier in reversed(list(enumerate(multipliers))):
            at = f"{size >> level}x{size >> level}"
            if level < len(multipliers) - 1:
                self.dec[f"{at}_up"] = block(now, now, up=True)
            for index in range(blocks + 1):
                attend = index == blocks and size >> level in attention
                self.dec[f"{at}_block{index}"] = block(now + skips.pop(), multiplier * channels, attend=attend)
                now = multiplier * channels
        self.dec[f"{size}x{size}_aux_norm"] = norm(now)
        self.dec[f"{size}x{size}_aux_conv"] = Conv(now, colours, 3)

    def forward(self, x: Tensor, mark: Tensor, labels: Tensor | None = None) -> Tensor:
        told = self.map_noise(mark)
        if self.map_label is not None and labels is not None:
            told = told + self.map_label(labels * math.sqrt(self.map_label.in_features))
        told = F.silu(self.map_layer1(F.silu(self.map_layer0(told))))
        carried, skips = x, list[Tensor]()
        for layer in self.enc.values():
            if isinstance(layer, FusedDown):
                x = carried = skips[-1] = (x + layer(carried)) * HALF
            else:
                x = layer(x, told) if isinstance(layer, Block) else layer(x)
                skips.append(x)
        *layers, last_norm, last = self.dec.values()
        for layer in layers:
            x = layer(x if x.shape[1] == layer.into else torch.cat([x, skips.pop()], dim=1), told)
        return last(F.silu(last_norm(x)))


class Block(nn.Module):
    """Two convolutions, of which the first may resample, and attention by one head where asked for."""

    def __init__(
        self,
        into: int,
        out: int,
        *,
        width: int,
        kernel: Sequence[float],
        up: bool = False,
        down: bool = False,
        attend: bool = False,
    ) -> None:
        super().__init__()
        self.into, self.attend = into, attend
        resample = kernel if up or down else None
        self.norm0, self.conv0 = norm(into), Conv(into, out, 3, resample, up)
        self.affine = nn.Linear(width, out)
        self.norm1, self.conv1 = norm(out), Conv(out, out, 3)
        self.skip = Conv(into, out, 1, resample, up) if into != out or up or down else nn.Identity()
        if attend:
            self.norm2, self.qkv, self.proj = norm(out), Conv(out, 3 * out, 1), Conv(out, out, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        hidden = self.conv0(F.silu(self.norm0(x))) + self.affine(told)[:, :, None, None]
        x = (self.conv1(F.silu(self.norm1(hidden))) + self.skip(x)) * HALF
        if not self.attend:
            return x
        q, k, v = self.qkv(self.norm2(x)).flatten(2).unflatten(1, (-1, 3)).transpose(1, 3).unbind(2)
        mixed = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return (self.proj(mixed.transpose(1, 2).reshape(x.shape)) + x) * HALF


class Conv(nn.Module):
    """A convolution; with a `kernel` the image is first halved, or doubled, by that filter."""

    resample_filter: Tensor

    def __init__(self, into: int, out: int, side: int, kernel: Sequence[float] | None = None, up: bool = False) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(out, into, side, side)), nn.Parameter(torch.empty(out))
        self.up, self.pad = up, side // 2
        taps = None if kernel is None else torch.outer(*2 * [torch.tensor(kernel)])[None, None] / sum(kernel) ** 2
        self.register_buffer("resample_filter", taps)

    def forward(self, x: Tensor) -> Tensor:
        if (taps := self.resample_filter) is not None:
            convolve, factor = (F.conv_transpose2d, 4) if self.up else (F.conv2d, 1)
            x = convolve(
                x,
                factor * taps.repeat(x.shape[1], 1, 1, 1),
                stride=2,
                padding=(taps.shape[-1] - 1) // 2,
                groups=x.shape[1],
            )
        return F.conv2d(x, self.weight, self.bias, padding=self.pad)


class FusedDown(Conv):
    """A convolution on a border wide enough for the filter that then halves the image."""

    def forward(self, x: Tensor) -> Tensor:
        taps = self.resample_filter.repeat(len(self.weight), 1, 1, 1)
        wide = F.conv2d(x, self.weight, padding=self.pad + (taps.shape[-1] - 1) // 2)
        return F.conv2d(wide, taps, stride=2, groups=len(taps)) + self.bias[:, None, None]


class NoiseMark(nn.Module):
    """Sines, then cosines, of marks `[n]` at `width / 2` frequencies: 1 to 1e-4, or the checkpoint's random ones."""

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


def norm(channels: int) -> nn.GroupNorm:
    """Groups of at least four channels, at most 32 groups."""
    return nn.GroupNorm(min(32, channels // 4), channels, eps=1e-6)
