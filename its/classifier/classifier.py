"""An image classifier with its own resize and normalisation, and its classes in the dataset's order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Interpolation = Literal["nearest", "bilinear", "bicubic"]
Centre = Literal["floor", "round"]


class ImageClassifier(nn.Module):
    """A classifier of images in [-1, 1] `[n, 3, H, W]` of any size, differentiable in them: logits `[n, classes]`.

    It clamps nothing, so that a gradient exists outside [-1, 1] too.

    Args:
        network: normalised images to logits, a tensor or in `.logits`.
        mean, std: of the pixels in [0, 1] that it was trained on, by channel.
        size: height and width that images are resized to before `crop`, or the length of their shorter side;
            None leaves them.
        crop: side of the centre crop; None leaves images whole.
        interpolation: Pillow's of that name.
        centre: rounding of the crop's offset: `floor` as transformers, `round` (half to even) as torchvision and timm.
        order: the checkpoint's index of each class of the dataset; None is its own order.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        size: int | tuple[int, int] | None = None,
        crop: int | None = None,
        interpolation: Interpolation = "bilinear",
        centre: Centre = "floor",
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.network = network.float()
        self.size = size
        self.crop = crop
        self.interpolation = interpolation
        self.centre = centre
        self.ordered(order)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(self.prepared(images))
        logits = output if isinstance(output, Tensor) else output.logits
        return logits if self.order is None else logits[:, self.order]

    def ordered(self, order: Sequence[int] | None) -> ImageClassifier:
        """Set the checkpoint's index of each class of the dataset; None is its own order."""
        self.order = None if order is None or list(order) == list(range(len(order))) else list(order)
        return self

    def extra_repr(self) -> str:
        """Return the settings that decide the logits beside the weights."""
        return (
            f"size={self.size}, crop={self.crop}, interpolation={self.interpolation}, centre={self.centre}, "
            f"order={self.order}"
        )

    def prepared(self, images: Tensor) -> Tensor:
        """Resize, crop and normalise images for the network."""
        pixels = (images.float() + 1) / 2
        if self.size is not None:
            pixels = resized(pixels, self.size, self.interpolation)
        if self.crop is not None:
            halves = ((side - self.crop) / 2 for side in pixels.shape[-2:])
            top, left = (round(half) if self.centre == "round" else int(half) for half in halves)
            pixels = pixels[..., top : top + self.crop, left : left + self.crop]
        return (pixels - self.mean) / self.std


def resized(pixels: Tensor, size: int | tuple[int, int], interpolation: Interpolation) -> Tensor:
    """Resize images `[n, C, H, W]` as Pillow does, but for its rounding.

    Args:
        size: height and width, or the length of the shorter side.
    """
    sides = tuple(pixels.shape[-2:])
    shape = size if isinstance(size, tuple) else tuple(size * side // min(sides) for side in sides)
    if sides == shape:
        return pixels
    if interpolation == "nearest":
        rows, columns = (_nearest(side, target).to(pixels.device) for side, target in zip(sides, shape, strict=True))
        return pixels[..., rows, :][..., columns]
    return F.interpolate(pixels, shape, mode=interpolation, antialias=True)


def _nearest(side: int, target: int) -> Tensor:
    """Return the pixel that Pillow takes for each of `target`; at ties the rounding of its running sum tells."""
    steps = np.full(target, side / target)
    steps[0] /= 2
    return torch.from_numpy(np.minimum(np.cumsum(steps).astype(np.int64), side - 1))
