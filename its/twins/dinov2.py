"""Random DINOv2 networks in transformers' format."""

from __future__ import annotations

from pathlib import Path

from its.twins.random_state import random_state
from its.weights import Weights


def write(weights: Weights, *, width: int = 32, layers: int = 2, heads: int = 2, positions: int = 5) -> None:
    """Write a random network to the folder `weights`, as transformers saves them.

    Args:
        positions: side of the grid of patches that it was made for.
    """
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, image_size=14 * positions, patch_size=14
    )
    network = Dinov2Model(config)
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(weights))
