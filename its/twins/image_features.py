"""Random CLIP, DINOv2 and SigLIP networks in transformers' format, with their image processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from its.twins.random_state import random_state
from its.weights import Weights


def write(
    weights: Weights, *, architecture: Literal["clip", "dinov2", "siglip"], size: int = 28, patch: int = 14
) -> None:
    """Write a random network of two layers and its image processor to the folder `weights`.

    Args:
        size: side of the images that it takes; DINOv2's positions are of a larger grid.
    """
    import transformers

    # Make the network.
    widths: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes: dict[str, Any] = {**widths, "intermediate_size": 64}
    vision: dict[str, Any] = {**sizes, "image_size": size, "patch_size": patch}
    text: dict[str, Any] = {
        **sizes,
        "vocab_size": 50,
        "max_position_embeddings": 8,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    configs: dict[str, Any] = {
        "clip": lambda: transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=24),
        "dinov2": lambda: transformers.Dinov2Config(image_size=size + 2 * patch, patch_size=patch, **widths),
        "siglip": lambda: transformers.SiglipConfig(vision_config=vision, text_config=text),
    }
    kinds: dict[str, Any] = {
        "clip": transformers.CLIPModel,
        "dinov2": transformers.Dinov2Model,
        "siglip": transformers.SiglipModel,
    }
    network = kinds[architecture](configs[architecture]())
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(weights))

    # Write its processor.
    sides, larger = {"height": size, "width": size}, {"shortest_edge": size * 8 // 7}
    processors: dict[str, Any] = {
        "clip": lambda: transformers.CLIPImageProcessor(size={"shortest_edge": size}, crop_size=sides),
        "dinov2": lambda: transformers.BitImageProcessor(size=larger, crop_size=sides, resample=3),
        "siglip": lambda: transformers.SiglipImageProcessor(size=sides),
    }
    processors[architecture]().save_pretrained(Path(weights))
