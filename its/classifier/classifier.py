"""An image classifier with its own resize and normalisation, and its classes in the dataset's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Interpolation = Literal["bilinear", "bicubic"]


class ImageClassifier(nn.Module):
    """Images in [-1, 1] `[n, 3, H, W]` of any size to logits `[n, classes]`, differentiable in the images.

    Nothing is clamped, so that a gradient exists outside [-1, 1] too.

    Args:
        network: of normalised images to logits, a tensor or in `.logits`.
        mean: of the pixels in [0, 1], by channel. std: likewise.
        size: images are resized to it (height and width) before `crop`; None leaves them.
        crop: side of the centre that is kept; None keeps all.
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
        """What decides the logits beside the weights."""
        return f"size={self.size}, crop={self.crop}, interpolation={self.interpolation}, order={self.order}"

    def prepared(self, images: Tensor) -> Tensor:
        """What the network is given."""
        pixels = (images.float() + 1) / 2
        if self.size is not None and tuple(pixels.shape[-2:]) != (self.size, self.size):
            pixels = F.interpolate(pixels, (self.size, self.size), mode=self.interpolation, antialias=True)
        if self.crop is not None:
            top, left = ((side - self.crop) // 2 for side in pixels.shape[-2:])
            pixels = pixels[..., top : top + self.crop, left : left + self.crop]
        return (pixels - self.mean) / self.std


def class_order(found: Mapping[int, str] | Sequence[str], wanted: Sequence[str], weights: str) -> list[int]:
    """The checkpoint's index of each wanted class, matched by name; case, spaces and underscores do not matter.

    Args:
        found: the checkpoint's class names by index. wanted: the dataset's, in its order.

    Raises:
        ValueError: the names are not the same.
    """
    names = dict(found) if isinstance(found, Mapping) else dict(enumerate(found))
    index = {_plain(name): position for position, name in names.items()}
    missing = [name for name in wanted if _plain(name) not in index]
    if missing or len(index) != len(wanted):
        told = ", ".join(map(str, names.values()))
        raise ValueError(
            f"{weights} tells the classes {told} apart, and the dataset has {', '.join(wanted)}; choose a "
            "classifier of this dataset, or give the checkpoint's order in the dataset's words: "
            "verifier.network.labels=[...]"
        )
    return [index[_plain(name)] for name in wanted]


def _plain(name: str) -> str:
    return str(name).strip().lower().replace(" ", "_")
