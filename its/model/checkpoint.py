"""State dicts of published checkpoints: read without running their code, and fitted to a network by name and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from its.weights import locate

StateDict = dict[str, Tensor]
WRAPPERS = ("state_dict", "model", "ema", "net")
"""Keys below which training scripts put the state dict."""

COUNTER = "num_batches_tracked"
"""Of batch norms, used in training only; torch did not save it before 0.4.1."""


def read(weights: str) -> StateDict:
    """Tensors by name from a safetensors file, or from torch's own format with `weights_only`.

    A wrapping `state_dict` and the prefix `module.` of nn.DataParallel are taken off.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is neither format, or it holds more than tensors.
    """
    path = locate(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights {weights!r} is a folder; name the file in it")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is not safetensors ({error}); fetch it again") from error
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{path} is not a state dict that torch.load reads with weights_only=True, and pickled "
            f"objects are not opened; where you trust it, convert it once: {conversion(path)}"
        ) from error
    return _unwrapped(found, path)


def conversion(path: Path) -> str:
    """The line that turns torch's format into safetensors."""
    return (
        f'python -c "import torch; from safetensors.torch import save_file; '
        f"save_file(torch.load('{path}', map_location='cpu', weights_only=False), "
        f"'{path.with_suffix('.safetensors')}')\""
    )


def _unwrapped(found: Any, path: Path) -> StateDict:
    for key in WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{path} holds something else than tensors by name; save the network's state_dict()")
    return {name.removeprefix("module."): value for name, value in found.items()}


def fit(network: nn.Module, state: StateDict, weights: str, fitting: str) -> nn.Module:
    """Load `state` into `network`, which must have exactly its names and shapes; frozen, in eval mode.

    Args:
        fitting: what the user should do if it does not fit: the configuration that would.

    Raises:
        ValueError: names the first missing, unexpected and mis-shaped keys.
    """
    own = network.state_dict()
    own = {name: value for name, value in own.items() if name in state or not name.endswith(COUNTER)}
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    misshaped = [
        f"{name} is {list(state[name].shape)} and should be {list(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    refuse_misfit(weights, type(network).__name__, (missing, unexpected, misshaped), fitting)
    network.load_state_dict(state, strict=False)
    return network.requires_grad_(False).eval()


def refuse_misfit(weights: str, network: str, keys: Sequence[Sequence[str]], fitting: str) -> None:
    """Raise a ValueError that names the first of the missing, unexpected and mis-shaped keys, if there are any."""
    wrong = [
        f"{len(names)} {what} ({names[0]})"
        for what, names in zip(("missing", "unexpected", "mis-shaped"), keys, strict=True)
        if names
    ]
    if wrong:
        raise ValueError(f"{weights} does not fit {network}: {', '.join(wrong)}; {fitting}")


def keys_of(found: Mapping[str, Any]) -> list[list[str]]:
    """What `refuse_misfit` asks for, from what `from_pretrained` of diffusers and transformers found out."""
    misshaped = [
        f"{name} is {list(theirs)} and should be {list(own)}"
        for name, theirs, own in sorted(found["mismatched_keys"], key=str)
    ]
    return [*(sorted(map(str, found[f"{what}_keys"])) for what in ("missing", "unexpected")), misshaped]
