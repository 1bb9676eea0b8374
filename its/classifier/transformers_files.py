"""Networks of images in transformers' format, with the preparation that their folder says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from its.classifier.classifier import ImageClassifier
from its.classifier.preparation import of_transformers, require_same_pixels
from its.model.config_file import ConfigFile
from its.model.transformers_network import load_network, loaded

OTHER = "choose another classifier, or correct the entry if it is wrong"


def load_with_processor(
    kind: str, config: ConfigFile, weights: str, key: str | None, processors: Path | None = None
) -> tuple[Any, ImageClassifier]:
    """Load a network and its image processor; return the former, and the latter's preparation around it.

    Args:
        kind: name of transformers' class.
        config: the folder's `config.json`.
        weights: name of the folder, for messages.
        key: the variant of the weights; see `its.model.checkpoint.stored`.
        processors: folder of the image processor; None is that of the network.

    Raises:
        ValueError: an entry is not on the allow-list, or the weights do not fit.
    """
    # Read the preparation; logits are of classes that exclude each other.
    if config.get("problem_type", None) not in (None, "single_label_classification"):
        raise config.refusal("problem_type", "here it is single_label_classification or null")
    folder = config.path.parent
    processors = processors or folder
    processor = processor_of(processors)
    options = of_transformers(processor)

    # Load the network and the library's own preparation, and compare.
    network = load_network(kind, folder, weights, key, dtype=torch.float32)
    classifier = ImageClassifier(network, **options)
    processing = loaded("AutoImageProcessor", processors, weights, backend="pil")

    def prepare(picture: Any) -> Tensor:
        return processing(images=picture, return_tensors="pt")["pixel_values"][0]

    require_same_pixels(classifier, prepare, processor, config.get("num_channels", 3))
    return network, classifier


def processor_of(folder: Path) -> ConfigFile:
    """Read the configuration of an image processor, which lies in that of texts and images where there is one."""
    both = folder / "processor_config.json"
    if both.is_file() and "image_processor" in (file := ConfigFile.read(both, OTHER)).entries:
        entries = file.needed("image_processor")
        if not isinstance(entries, Mapping):
            raise file.refusal("image_processor", "it is an object")
        return ConfigFile(both, entries, OTHER, "write there what the network was trained with")
    return ConfigFile.read(folder / "preprocessor_config.json", OTHER, saved_again(folder))


def saved_again(folder: Path) -> str:
    """Return the advice to let transformers write every entry of a processor."""
    place = f"place = {str(folder)!r}"
    code = f"from transformers import AutoImageProcessor as A; {place}; A.from_pretrained(place).save_pretrained(place)"
    return (
        f"save the processor again, which writes every entry: python -c {shlex.quote(code)}, if its class is the one "
        "that the network was trained with"
    )
