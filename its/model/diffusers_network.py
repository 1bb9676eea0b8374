"""Networks of diffusers' own classes, loaded from a folder with exactly the tensors there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from its.model.checkpoint import conversion, misfit_of, read, refuse_misfit, stored
from its.model.wrappers import StateDict


def pretrained(
    kind: str,
    folder: Path,
    weights: str,
    key: str | None,
    advice: Callable[[StateDict], str],
    dtype: torch.dtype | None = None,
) -> Any:
    """Load the network of a folder with exactly the tensors there, attention under old names too.

    Args:
        kind: name of its class; its configuration has been checked before.
        weights: name of the weights, for messages.
        key: variant of the weights, see `its.model.checkpoint.stored`.
        advice: what to say to a user whose tensors do not fit.
        dtype: of its weights; None is float32.

    Raises:
        ValueError: the tensors do not fit, or the file holds more than tensors.
    """
    import diffusers

    file, variant = stored(folder, ["diffusion_pytorch_model"], key)
    try:
        network, info = getattr(diffusers, kind).from_pretrained(
            folder,
            variant=variant,
            torch_dtype=dtype,
            use_safetensors=".safetensors" in file.name,
            low_cpu_mem_usage=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            local_files_only=True,
        )
    except Exception as error:
        convert = f"if it holds more than tensors, take them out once: {conversion(file)}"
        remedy = convert if file.suffix == ".bin" else "fetch the whole folder again, or correct its config.json"
        raise ValueError(f"{weights} is not read ({' '.join(str(error).split())[:300]}); {remedy}") from error

    # Refuse tensors that diffusers would leave out or make up.
    if any(keys := misfit_of(info)):
        refuse_misfit(weights, kind, keys, advice(read(str(file))))
    return network


def configured(kind: str, folder: Path) -> Any:
    """Make the network that a folder's configuration states, with tensors that are not set.

    Args:
        kind: name of its class; its configuration has been checked before.
    """
    import diffusers

    reader = getattr(diffusers, kind)
    with torch.device("meta"):
        network = reader.from_config(reader.load_config(folder, local_files_only=True))
    return network.to_empty(device="cpu")
