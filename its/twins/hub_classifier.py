"""Random classifiers in timm's format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from its.dataset.class_names import ClassNames
from its.twins.random_state import random_state
from its.weights import Weights


def write(
    weights: Weights, *, architecture: str, classes: str | Sequence[str], size: int, model_args: dict[str, Any]
) -> None:
    """Write a random classifier of timm's `architecture` to the folder `weights`, as timm publishes them."""
    import timm
    from safetensors.torch import save_file

    # Write the tensors.
    folder = Path(weights)
    folder.mkdir(parents=True)
    names = [words[0] for words in ClassNames.of(classes).words]
    network = timm.create_model(architecture, pretrained=False, num_classes=len(names), **model_args)
    save_file(random_state(network), folder / "model.safetensors")

    # Write the configuration.
    config = {
        "architecture": architecture,
        "num_classes": len(names),
        "model_args": dict(model_args),
        "label_names": names,
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "mean": [0.5] * 3,
            "std": [0.5] * 3,
            "crop_pct": 1.0,
            "interpolation": "bicubic",
        },
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
