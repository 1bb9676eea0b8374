"""An image classifier with its own resize and normalisation, and its classes in the dataset's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Interpolation = Literal["bilinear", "bicubic"]


class ImageClassifier(nn.Module):
    """A classifier of images in [-1, 1] `[n, 3, H, W]` of any size, differentiable in them: logits `[n, classes]`.

    It clamps nothing, so that a gradient exists outside [-1, 1] too.

    Args:
        network: normalised images to logits, a tensor or in `.logits`.
        mean, std: of the pixels in [0, 1] that it was trained on, by channel.
        size: height and width that images are resized to before `crop`; None leaves them.
        crop: side of the centre crop; None leaves images whole.
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
        size: int | None = None,
        crop: int | None = None,
        interpolation: Interpolation = "bilinear",
        order: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.network = network.float()
        self.size = size
        self.crop = crop
        self.interpolation = interpolation
        self.order = None if order is None or list(order) == list(range(len(order))) else list(order)
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        output = self.network(self.prepared(images))
        logits = output if isinstance(output, Tensor) else output.logits
        return logits if self.order is None else logits[:, self.order]

    def extra_repr(self) -> str:
        """Return the settings that decide the logits beside the weights."""
        return f"size={self.size}, crop={self.crop}, interpolation={self.interpolation}, order={self.order}"

    def prepared(self, images: Tensor) -> Tensor:
        """Resize, crop and normalise images for the network."""
        pixels = (images.float() + 1) / 2
        if self.size is not None and tuple(pixels.shape[-2:]) != (self.size, self.size):
            pixels = F.interpolate(pixels, (self.size, self.size), mode=self.interpolation, antialias=True)
        if self.crop is not None:
            top, left = ((side - self.crop) // 2 for side in pixels.shape[-2:])
            pixels = pixels[..., top : top + self.crop, left : left + self.crop]
        return (pixels - self.mean) / self.std


def match_classes(labels: Mapping[int, str] | Sequence[str], classes: Sequence[str], weights: str) -> list[int]:
    """Return the checkpoint's index of each class of the dataset, by name but for case, spaces and underscores.

    Args:
        labels: the checkpoint's class names by index.
        classes: the dataset's class names, in its order.
        weights: name of the checkpoint, for the message.

    Raises:
        ValueError: the names are not the same.
    """
    names = dict(labels) if isinstance(labels, Mapping) else dict(enumerate(labels))
    index = {_plain(name): position for position, name in names.items()}
    missing = [name for name in classes if _plain(name) not in index]
    if missing or len(index) != len(classes):
        raise ValueError(
            f"{weights} tells the classes {', '.join(map(str, names.values()))} apart, and the dataset has "
            f"{', '.join(classes)}; choose a "
            "classifier of this dataset, or give the checkpoint's order in the dataset's words: "
            "verifier.network.labels=[...]"
        )
    return [index[_plain(name)] for name in classes]


def _plain(name: str) -> str:
    return str(name).strip().lower().replace(" ", "_")
