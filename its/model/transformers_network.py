"""Networks and tokenizers in transformers' format, loaded whole or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from its.model.checkpoint import misfit_of, refuse_misfit, stored

OTHER = "choose another, or correct the entry if it is wrong"

STEMS = ("model", "pytorch_model")
"""Beginnings of the names of weights, in timm's folders too."""

FAULTS = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError)
"""Errors of the library about a file that it does not read."""


def load_network(kind: str, folder: Path, weights: str, key: str | None, **options: Any) -> nn.Module:
    """Load a network of transformers' class `kind`, every tensor of it.

    Args:
        key: the variant of the weights; see `its.model.checkpoint.stored`.
        options: of the library's reader, such as `dtype`.

    Raises:
        ValueError: the library does not read it, or tensors are missing or left over.
    """
    file, variant = stored(folder, STEMS, key)
    safetensors = ".safetensors" in file.name
    network, info = loaded(
        kind, folder, weights, variant=variant, use_safetensors=safetensors, output_loading_info=True, **options
    )
    refuse_misfit(weights, type(network).__name__, misfit_of(info), "fetch the whole repository again")
    return network


def loaded(kind: str, folder: Path, weights: str, **options: Any) -> Any:
    """Return what transformers' class `kind` reads of a folder, without network and foreign code.

    Raises:
        ValueError: transformers is not installed, or does not read it.
    """
    try:
        import transformers
    except ImportError as error:
        raise ValueError(
            f"{weights} needs transformers, which is not installed; in the folder of this code: "
            ".venv/bin/python -m pip install -c constraints.txt -e '.[text2image]'"
        ) from error
    transformers.utils.logging.disable_progress_bar()
    try:
        reader: Any = getattr(transformers, kind)
        return reader.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    except FAULTS as error:
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {OTHER}") from error
