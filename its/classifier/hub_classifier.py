"""Classifiers of timm and transformers, by folder or hub name, with the preparation that their files say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from its.classifier.classifier import ImageClassifier, Interpolation, match_classes
from its.model.checkpoint import fit, misfit_of, read, refuse_misfit
from its.weights import Device, Weights, locate

RESAMPLE: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}
"""Interpolations by Pillow's numbers, which transformers' configurations use."""


def load(
    weights: Weights,
    *,
    classes: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    device: Device = "cpu",
) -> ImageClassifier:
    """Load a classifier of timm or transformers; `config.json` says of which.

    Args:
        weights: a folder or a name on the hub.
        classes: the dataset's class names, matched with the checkpoint's by name.
        labels: the checkpoint's class names in its order, where it has none (LABEL_0) or says them otherwise.

    Raises:
        ValueError: its classes are not the dataset's, its preparation is unknown, or its weights do not fit.
    """
    folder = locate(weights)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has no config.json; give a folder that transformers or timm saved")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network, options, names = (_timm if "architecture" in config else _transformers)(folder, config, weights)
    order = None if classes is None else match_classes(labels or names, classes, weights)
    return ImageClassifier(network, order=order, **options).to(device)


def _transformers(folder: Path, config: dict[str, Any], weights: str) -> tuple[nn.Module, dict, dict[int, str]]:
    """Return transformers' network, the arguments of its ImageClassifier, and its class names by index."""
    try:
        from transformers import AutoModelForImageClassification
    except ImportError as error:
        raise ValueError(
            f"{weights} needs transformers, which is not installed: pip install 'its[text2image]'"
        ) from error

    # Load the network, and refuse weights that would be left out or made up.
    network, info = AutoModelForImageClassification.from_pretrained(
        folder,
        use_safetensors=(folder / "model.safetensors").exists(),
        output_loading_info=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    refuse_misfit(weights, type(network).__name__, misfit_of(info), "fetch the whole repository again")

    names = {int(index): name for index, name in config.get("id2label", {}).items()}
    return network, _preparation(folder, weights), names or dict(network.config.id2label)


def _preparation(folder: Path, weights: str) -> dict[str, Any]:
    """Read the arguments of ImageClassifier from `preprocessor_config.json`."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        raise ValueError(
            f"{weights} has no preprocessor_config.json, which says how its images are prepared; save it "
            "with the processor's save_pretrained"
        )
    config = json.loads(path.read_text(encoding="utf-8"))

    # Find the side to resize to, and the side of the centre crop.
    size = config.get("size", 224)
    edge = size.get("shortest_edge", size.get("height")) if isinstance(size, dict) else size
    if edge is None or (isinstance(size, dict) and size.get("height", edge) != size.get("width", edge)):
        raise ValueError(f"{path} resizes to {size}; only squares are known here")
    crop = None
    if "crop_pct" in config and edge < 384:  # ConvNeXT: larger, then the centre
        edge, crop = int(edge / (config["crop_pct"] or 224 / 256)), edge
    elif config.get("do_center_crop"):
        crop_size = config["crop_size"]
        crop = crop_size["height"] if isinstance(crop_size, dict) else crop_size

    plain = config.get("do_normalize", True) is False
    return {
        "size": edge if config.get("do_resize", True) else None,
        "crop": crop,
        "interpolation": RESAMPLE[config.get("resample", 2)],
        "mean": [0.0] * 3 if plain else config["image_mean"],
        "std": [1.0] * 3 if plain else config["image_std"],
    }


def _timm(folder: Path, config: dict[str, Any], weights: str) -> tuple[nn.Module, dict, list[str]]:
    """Return timm's network, the arguments of its ImageClassifier, and its class names."""
    import timm

    # Make the network, and load its weights.
    settings = config.get("pretrained_cfg", config)
    network = timm.create_model(
        config["architecture"], pretrained=False, num_classes=config["num_classes"], **config.get("model_args", {})
    )
    file = next((name for name in ("model.safetensors", "pytorch_model.bin") if (folder / name).exists()), None)
    if file is None:
        raise ValueError(f"{weights} holds neither model.safetensors nor pytorch_model.bin; fetch it again")
    fit(network, read(str(folder / file)), weights, f"its config.json says {config['architecture']}")

    # Read the preparation: resize to a larger square, then crop the centre.
    edge = settings["input_size"][-1]
    larger = int(edge / settings.get("crop_pct", 1.0))
    options = {
        "size": larger,
        "crop": None if larger == edge else edge,
        "mean": settings["mean"],
        "std": settings["std"],
        "interpolation": settings.get("interpolation", "bilinear"),
    }
    return network, options, config.get("label_names") or settings.get("label_names") or []
