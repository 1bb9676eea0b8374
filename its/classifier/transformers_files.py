"""Networks of images in transformers' format, with the preparation that their folder says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from its.classifier.classifier import ImageClassifier
from its.classifier.preparation import of_transformers, require_same_pixels
from its.model.checkpoint import misfit_of, refuse_misfit, stored
from its.model.config_file import ConfigFile

OTHER = "choose another classifier, or correct the entry if it is wrong"

STEMS = ("model", "pytorch_model")
"""Beginnings of the names of weights, in timm's folders too."""

FAULTS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError)
"""Errors of the library about a file that it does not read."""


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
    network = load_network(kind, folder, weights, key)
    classifier = ImageClassifier(network, **options)
    processing = loaded("AutoImageProcessor", processors, weights, backend="pil")

    def prepare(picture: Any) -> Tensor:
        return processing(images=picture, return_tensors="pt")["pixel_values"][0]

    require_same_pixels(classifier, prepare, processor, config.get("num_channels", 3))
    return network, classifier


def load_network(kind: str, folder: Path, weights: str, key: str | None) -> nn.Module:
    """Load a network of transformers' class `kind`, every tensor of it.

    Raises:
        ValueError: the library does not read it, or tensors are missing or left over.
    """
    file, variant = stored(folder, STEMS, key)
    safetensors = ".safetensors" in file.name
    network, info = loaded(
        kind, folder, weights, variant=variant, use_safetensors=safetensors, output_loading_info=True
    )
    refuse_misfit(weights, type(network).__name__, misfit_of(info), "fetch the whole repository again")
    return network


def loaded(kind: str, folder: Path, weights: str, **options: Any) -> Any:
    """Return what transformers' class `kind` reads of a folder, without network and foreign code.

    Raises:
        ValueError: transformers is not installed, or does not read it.
    """
    transformers = library(weights)
    try:
        reader: Any = getattr(transformers, kind)
        return reader.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except FAULTS as error:
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {OTHER}") from error


def library(weights: str) -> Any:
    """Return transformers, without progress bars.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{weights} needs transformers, which is not installed; in the folder of this code: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[text2image]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return transformers


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
