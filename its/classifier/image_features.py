"""Image features of CLIP, DINOv2 and SigLIP, by transformers' networks, with the preparation that their folder says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from its.classifier.classifier import ImageClassifier
from its.classifier.transformers_files import OTHER, load_with_processor
from its.model.config_file import ConfigFile
from its.model.dinov2 import KNOWN, resize_positions
from its.weights import Device, Weights, locate


class Architecture(NamedTuple):
    """A kind of network: transformers' class, and its parts that make features of normalised images."""

    kind: str
    tower: Callable[[Any], nn.Module]


class Tower(nn.Module):
    """Features `[n, width]` of normalised images: what a vision network pools, projected where it has a projection."""

    def __init__(self, vision: Any, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.vision, self.projection = vision, projection

    def forward(self, pixels: Tensor) -> Tensor:
        pooled = self.vision(pixel_values=pixels).pooler_output
        return pooled if self.projection is None else self.projection(pooled)


ARCHITECTURES: Mapping[str, Architecture] = {
    "clip": Architecture("CLIPModel", lambda model: Tower(model.vision_model, model.visual_projection)),
    "dinov2": Architecture("Dinov2Model", Tower),
    "siglip": Architecture("SiglipModel", lambda model: Tower(model.vision_model)),
}
"""By `model_type` of `config.json`. Of CLIP the projected features, which texts are compared with; of DINOv2 the class
token after the last norm (Oquab et al. 2023, arXiv:2304.07193); of SigLIP what its head pools."""


class ImageFeatures(nn.Module):
    """Features of images in [-1, 1] `[n, 1 or 3, H, W]` of any size; grey ones count for all three channels.

    Args:
        tower: with its preparation around it.
    """

    def __init__(self, tower: ImageClassifier) -> None:
        super().__init__()
        self.tower = tower

    def features(self, images: Tensor) -> Tensor:
        """Return features `[n, width]`."""
        return self.tower(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images)


def load(weights: Weights, *, weights_key: str | None = None, device: Device = "cpu") -> ImageFeatures:
    """Load the image tower of CLIP, DINOv2 or SigLIP; `config.json` says of which. A text tower is not kept.

    Args:
        weights: a folder or a name on the hub, in transformers' format.
        weights_key: the variant of its weights (`fp16`).

    Raises:
        ValueError: it is none of these, its preparation is unknown, or its weights do not fit.
    """
    # Read the folder.
    config = ConfigFile.read(locate(weights) / "config.json", OTHER)
    architecture = ARCHITECTURES.get(config.needed("model_type"))
    if architecture is None:
        raise config.refusal("model_type", f"features are known here of {', '.join(ARCHITECTURES)}")
    model, tower = load_with_processor(architecture.kind, config, weights, weights_key)
    if architecture.kind == "Dinov2Model":
        config.require(KNOWN)
        resize_positions(model.embeddings, config, tower.crop or tower.size)

    # Keep what makes features.
    if architecture.kind == "SiglipModel" and not model.config.vision_config.vision_use_head:
        raise config.refusal("vision_config", "features are what its head pools, and vision_use_head is false")
    tower.network = architecture.tower(model)
    return ImageFeatures(tower.requires_grad_(False).eval()).to(device)
