"""HPSv2 and HPSv2.1 (Wu et al. 2023, arXiv:2306.09341): open_clip's ViT-H-14, fine-tuned on people's preferences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from its.classifier.image_features import Tower
from its.classifier.image_text import ImageText
from its.classifier.open_clip import cleaned, clip_of
from its.classifier.tokens import Tokens, tokenizer_of
from its.model.checkpoint import read, require_numbers
from its.weights import Device, Settings, Weights

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pixels in [0, 1], by channel."""

Version = Literal["2.0", "2.1"]

NAMED = re.compile(r"v2(?P<minor>\.\d+)?")
"""The version in the name of a file: `HPS_v2_compressed.pt` is 2.0."""


class PaddedImages(nn.Module):
    """Features of images in [-1, 1] `[n, 3, H, W]`, of which the whole is seen: resized to fit a square, padded black.

    Resized with antialias, as torchvision does it since 0.17. Differentiable.

    Args:
        tower: normalised images to features.
        side: of the square.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, tower: nn.Module, side: int) -> None:
        super().__init__()
        self.tower, self.side = tower, side
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return self.tower(self.prepared(images))

    def prepared(self, images: Tensor) -> Tensor:
        """Resize the longer side, pad, and normalise."""
        pixels = (images.float() + 1) / 2
        scale = self.side / max(pixels.shape[-2:])
        height, width = (round(side * scale) for side in pixels.shape[-2:])
        if scale != 1:
            pixels = F.interpolate(pixels, (height, width), mode="bicubic", antialias=True)
        left, top = (self.side - width) // 2, (self.side - height) // 2
        pixels = F.pad(pixels, (left, self.side - width - left, top, self.side - height - top))
        return (pixels - self.mean) / self.std

    def extra_repr(self) -> str:
        """Return the setting that decides the features beside the weights."""
        return f"side={self.side}"


def load(
    weights: Weights, version: Version, tokenizer: Weights | Settings, *, heads: int = 16, device: Device = "cpu"
) -> ImageText:
    """Load HPS; its score is the plain cosine, about 0.28, and published tables have it times 100.

    Args:
        weights: `HPS_v2.1_compressed.pt` or `HPS_v2_compressed.pt`, in open_clip's names.
        version: of the weights; scores of two versions are not comparable, and their tensors have the same shapes.
        tokenizer: a `tokenizer.json` of CLIP's, or a folder with one.
        heads: of both towers.

    Raises:
        ValueError: the weights are no such network, or the file's name says another version.
    """
    check_version(weights, version)
    model: Any = clip_of(read(weights), heads, weights)
    vision, text = model.config.vision_config, model.config.text_config
    images = PaddedImages(Tower(model.vision_model.float(), model.visual_projection.float()), vision.image_size)
    tokens = Tokens(tokenizer_of(tokenizer), text.max_position_embeddings, text.vocab_size, tokenizer, cleaned)
    network = ImageText(images, model.float(), tokens, "cosine").to(device)
    require_numbers(network, weights)
    return network


def check_version(weights: str, version: str, versions: Sequence[str] = get_args(Version)) -> None:
    """Refuse a version that there is not, and a file whose name says another.

    Raises:
        ValueError: naming both.
    """
    if version not in versions:
        raise ValueError(f"version of HPS is {version!r}; it is {' or '.join(map(repr, versions))}, in quotes")
    named = NAMED.search(Path(weights).stem.lower())
    if named and (stated := f"2{named['minor'] or '.0'}") != version:
        raise ValueError(
            f"version of HPS is {version}, and {Path(weights).name} is named as {stated}: their scores are not "
            "comparable; verifier=hps is 2.1, verifier=hps_v20 is 2.0"
        )
