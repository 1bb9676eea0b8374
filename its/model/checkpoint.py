"""State dicts of published checkpoints: read without running code, fitted to a network by name and shape."""

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
"""Keys under which training scripts save the state dict."""

COUNTER = "num_batches_tracked"
"""A tensor of batch norms that only training uses; torch did not save it before 0.4.1."""


def read(weights: str) -> StateDict:
    """Read a state dict from a safetensors file, or from torch's own format with `weights_only`.

    A wrapping `state_dict` and the prefix `module.` of nn.DataParallel are removed.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is neither format, or it holds more than tensors.
    """
    path = locate(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights {weights!r} is a folder; name the file in it")

    # Read safetensors.
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is not safetensors ({error}); fetch it again") from error

    # Read torch's own format.
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{path} is not a state dict that torch.load reads with weights_only=True, and pickled "
            f"objects are not opened; where you trust it, convert it once: {conversion(path)}"
        ) from error
    return _unwrapped(content, path)


def conversion(path: Path) -> str:
    """Return the command that turns torch's format into safetensors."""
    return (
        f'python -c "import torch; from safetensors.torch import save_file; '
        f"save_file(torch.load('{path}', map_location='cpu', weights_only=False), "
        f"'{path.with_suffix('.safetensors')}')\""
    )


def _unwrapped(content: Any, path: Path) -> StateDict:
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} holds something else than tensors by name; save the network's state_dict()")
    return {name.removeprefix("module."): value for name, value in content.items()}


def fit(network: nn.Module, state: StateDict, weights: str, remedy: str) -> nn.Module:
    """Load `state` into `network`, which must have exactly its names and shapes; freeze it, in eval mode.

    Args:
        weights: name of the weights, for messages.
        remedy: advice to the user if they do not fit: the configuration that would.

    Raises:
        ValueError: names the first missing, unexpected and mis-shaped keys.
    """
    # Compare names and shapes; counters of batch norms may be missing.
    needed = {
        name: value for name, value in network.state_dict().items() if name in state or not name.endswith(COUNTER)
    }
    missing = [name for name in needed if name not in state]
    unexpected = [name for name in state if name not in needed]
    misshaped = [
        f"{name} is {list(state[name].shape)} and should be {list(needed[name].shape)}"
        for name in needed
        if name in state and state[name].shape != needed[name].shape
    ]
    refuse_misfit(weights, type(network).__name__, (missing, unexpected, misshaped), remedy)

    network.load_state_dict(state, strict=False)
    return network.requires_grad_(False).eval()


def refuse_misfit(weights: str, network: str, keys: Sequence[Sequence[str]], remedy: str) -> None:
    """Refuse weights with missing, unexpected or mis-shaped keys.

    Args:
        keys: the three kinds, in that order.

    Raises:
        ValueError: there are any; the message names the first of each kind.
    """
    faults = [
        f"{len(names)} {kind} ({names[0]})"
        for kind, names in zip(("missing", "unexpected", "mis-shaped"), keys, strict=True)
        if names
    ]
    if faults:
        raise ValueError(f"{weights} does not fit {network}: {', '.join(faults)}; {remedy}")


def misfit_of(info: Mapping[str, Any]) -> list[list[str]]:
    """Return the keys for `refuse_misfit` out of the loading info of diffusers' and transformers' `from_pretrained`."""
    misshaped = [
        f"{name} is {list(shape)} and should be {list(needed)}"
        for name, shape, needed in sorted(info["mismatched_keys"], key=str)
    ]
    return [*(sorted(map(str, info[f"{kind}_keys"])) for kind in ("missing", "unexpected")), misshaped]
