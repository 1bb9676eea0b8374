"""LAION's aesthetic predictor v2 (Schuhmann et al. 2022, arXiv:2210.08402): a linear head on CLIP's image features."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from its.classifier.image_features import load as load_features
from its.classifier.reward_head import RewardHead, reward_head
from its.model.checkpoint import read, require_numbers
from its.weights import Device, Weights

ACTIVATION = "quick_gelu"
"""The activation of OpenAI's CLIP; with the exact GELU scores move by 0.6."""


class Aesthetic(nn.Module):
    """Scores `[n]`, mostly from 1 to 10, of images in [-1, 1] `[n, 3, H, W]`; differentiable in them.

    Args:
        features: CLIP's projected ones, which are brought to unit length here.
    """

    def __init__(self, features: nn.Module, head: RewardHead) -> None:
        super().__init__()
        self.features, self.head = features, head
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.normalize(self.features(images), dim=1))


def load(weights: Weights, head: Weights, *, weights_key: str | None = None, device: Device = "cpu") -> Aesthetic:
    """Load the predictor.

    Args:
        weights: OpenAI's CLIP ViT-L/14 in transformers' format, a folder or a name on the hub.
        head: `sac+logos+ava1-l14-linearMSE.pth` of christophschuhmann/improved-aesthetic-predictor.
        weights_key: the variant of CLIP's weights (`fp16`).

    Raises:
        ValueError: CLIP has another activation, or weights do not fit.
    """
    features = load_features(weights, weights_key=weights_key)
    tower: Any = features.tower.network
    vision = tower.vision
    activation = getattr(vision.config, "hidden_act", None)
    if activation != ACTIVATION:
        raise ValueError(
            f"hidden_act of the vision network in {weights} is {activation!r}, and the aesthetic predictor was trained "
            f"on {ACTIVATION!r}; take openai/clip-vit-large-patch14"
        )
    width = int(vision.config.hidden_size if tower.projection is None else tower.projection.out_features)
    network = Aesthetic(features, reward_head(read(head), width, head)).to(device)
    require_numbers(network.head, head)
    require_numbers(network.features, weights)
    return network
