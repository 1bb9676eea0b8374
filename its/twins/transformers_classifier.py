"""Random classifiers in transformers' format: ViT, DeiT, and DINOv2 with a linear head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from its.dataset.class_names import ClassNames
from its.twins.random_state import random_state
from its.weights import Weights


def write(
    weights: Weights,
    *,
    classes: str | Sequence[str],
    architecture: Literal["vit", "deit", "dinov2"] = "vit",
    size: int = 32,
    patch: int = 16,
    width: int = 32,
    layers: int = 1,
) -> None:
    """Write a random classifier to the folder `weights`, as transformers saves them, labels in its words.

    Args:
        size: side of the images that it takes; DINOv2's positions are of a larger grid.
    """
    import transformers

    # Make the network.
    names = dict(enumerate(words[-1] for words in ClassNames.of(classes).words))
    sizes: dict[str, Any] = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "patch_size": patch,
        "id2label": names,
        "label2id": {name: index for index, name in names.items()},
    }
    network: Any
    if architecture == "dinov2":
        config: Any = transformers.Dinov2Config(image_size=size + 2 * patch, **sizes)
        network = transformers.Dinov2ForImageClassification(config)
    else:
        config = transformers.ViTConfig(image_size=size, intermediate_size=2 * width, **sizes)
        network = transformers.ViTForImageClassification(config)
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(weights))

    # Write its processor.
    sides, larger = {"height": size, "width": size}, size * 8 // 7
    processor: Any = {
        "vit": lambda: transformers.ViTImageProcessor(size=sides),
        "deit": lambda: transformers.DeiTImageProcessor(size={"height": larger, "width": larger}, crop_size=sides),
        "dinov2": lambda: transformers.BitImageProcessor(size={"shortest_edge": larger}, crop_size=sides, resample=3),
    }[architecture]()
    processor.save_pretrained(Path(weights))
