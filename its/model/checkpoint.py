"""State dicts of published checkpoints: read without running code, fitted to a network by name and shape."""

from __future__ import annotations

import logging
import re
import shlex
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from its.model.config_file import ConfigFile
from its.model.published import home_of
from its.model.wrappers import StateDict, chosen
from its.parameters import fits
from its.weights import locate

INDEX = ".index.json"
"""The end of the name of a table that says in which file each tensor is."""

log = logging.getLogger(__name__)

OBJECTS = re.compile(r"GLOBAL|unsupported|unrecognized|reduce|build|setattr", re.IGNORECASE)
"""Words with which torch refuses pickled objects, and not damage."""

MAGIC = (b"PK", b"\x80\x02")
"""The first bytes of torch's files, today and before 1.6."""

COUNTER = "num_batches_tracked"
"""A tensor of batch norms that only training uses; torch did not save it before 0.4.1."""


def read(weights: str, key: str | None = None) -> StateDict:
    """Read a state dict from safetensors, sharded too, or from torch's own format with `weights_only`.

    Prefixes that all names share are removed; see `its.model.wrappers.PREFIXES`.

    Args:
        key: keys of the state dict in a file of several, joined by points; None takes the only one, or the
            exponential moving average.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is neither format, holds more than tensors, or the key names none of them.
    """
    path = locate(weights)
    if not path.is_file():
        raise FileNotFoundError(f"weights {weights!r} is a folder; name the file in it")
    if path.name.endswith(INDEX):
        return chosen(_shards(path), key, str(path))
    return chosen(_tensors(path), key, str(path))


def home_of_file(weights: str) -> str | None:
    """Say which configuration takes a published checkpoint; None of a file that is not known or not read."""
    try:
        return home_of(read(weights))
    except (ValueError, OSError):
        return None


def stored(folder: Path, stems: Sequence[str], key: str | None) -> tuple[Path, str | None]:
    """Choose the weights of a folder that diffusers, transformers or timm saved, and their variant (`fp16`).

    Args:
        stems: beginnings of their names.
        key: the variant; None is the one without a name, or the only one.

    Returns:
        Their file, or the table of their shards; the variant's name, None without one.

    Raises:
        ValueError: there are none, not the named one, or there are several and all have names.
    """
    # Find them; safetensors come first.
    pattern = re.compile(
        rf"({'|'.join(stems)})(\.(?P<variant>[a-z]\w*))?\.(bin|safetensors)(\.index(\.(?P<sharded>\w+))?\.json)?"
    )
    files: dict[str | None, Path] = {}
    for path in sorted(folder.glob("*"), key=lambda path: ("safetensors" not in path.name, path.name)):
        if match := pattern.fullmatch(path.name):
            files.setdefault(match["variant"] or match["sharded"], path)
    if not files:
        raise ValueError(
            f"{folder} holds no weights ({stems[0]}.safetensors or {stems[-1]}.bin); give a folder that was saved whole"
        )

    # Choose one.
    variant = key if key is not None or None in files else next(iter(files))
    if variant not in files or (key is None and None not in files and len(files) > 1):
        names = " or ".join("null" if name is None else name for name in files)
        raise ValueError(f"weights_key is {key!r}, and {folder} holds the variants {names}; set weights_key to one")
    if variant is not None:
        log.info("%s: weights are the variant %r (weights_key)", folder, variant)
    return files[variant], variant


def conversion(path: Path) -> str:
    """Return the command that turns torch's format into safetensors, without running any of it."""
    return f"python scripts/convert_weights.py {shlex.quote(str(path))}"


def _tensors(path: Path) -> Any:
    """Read one file of either format."""
    return _safetensors(path) if path.suffix == ".safetensors" else _torch(path)


def _safetensors(path: Path) -> StateDict:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not safetensors ({error}); fetch it again") from error


def _shards(index: Path) -> StateDict:
    """Read the files that an index of shards names, which lie beside it and hold the tensors that it says."""
    file = ConfigFile.read(index, "fetch it and all shards again")
    table = file.needed("weight_map")
    if not fits(table, Mapping[str, str]):
        raise file.refusal("weight_map", "it says in which file each tensor is")
    state: StateDict = {}
    for name in sorted(set(table.values())):
        if Path(name).name != name or not (index.parent / name).is_file():
            raise ValueError(f"{index} names the shard {name!r}, which is not beside it; fetch all shards")
        shard = _tensors(index.parent / name)
        if others := shard.keys() ^ {tensor for tensor, place in table.items() if place == name}:
            raise ValueError(
                f"{index} and {index.parent / name} disagree on which of them has {min(others)}; fetch all shards again"
            )
        state |= shard
    return state


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _torch(path: Path) -> Any:
    """Read torch's own format; of objects in it, only a script's arguments (a `Namespace`) are made."""
    try:
        with torch.serialization.safe_globals([Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error)
        if "TorchScript" in reason:
            raise ValueError(
                f"{path} is a TorchScript archive, which is code; save the network's state_dict()"
            ) from error
        if not OBJECTS.search(reason) or _begins(path) not in MAGIC:
            raise ValueError(
                f"{path} is damaged, or not torch's ({' '.join(reason.split())[:200]}); fetch it again"
            ) from error
        name = re.search(r"GLOBAL (\S+)", reason)
        raise ValueError(
            f"{path} holds a pickled {name[1] if name else 'object'}, and pickled objects are not opened; take its "
            f"tensors out of it once: {conversion(path)}"
        ) from error


def fit(network: nn.Module, state: StateDict, weights: str, remedy: str) -> nn.Module:
    """Load `state` into `network`, which must have exactly its names, shapes and kinds; freeze it, in eval mode.

    Args:
        weights: name of the weights, for messages.
        remedy: advice to the user if they do not fit and are not of a published checkpoint, which is told where it
            belongs: the configuration that would take them.

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
    ] or [
        f"{name} is {state[name].dtype} and should be {needed[name].dtype}"
        for name in needed
        if name in state and state[name].is_floating_point() != needed[name].is_floating_point()
    ]
    if missing or unexpected or misshaped:
        remedy = home_of(state) or remedy
        refuse_misfit(weights, type(network).__name__, (missing, unexpected, misshaped), remedy)

    network.load_state_dict(state, strict=False)
    return network.requires_grad_(False).eval()


def require_numbers(network: nn.Module, weights: str) -> None:
    """Refuse weights that hold NaN or infinity, which make every result one.

    Raises:
        ValueError: naming the first such tensor.
    """
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f"{name} of {weights} holds NaN or infinity; fetch it again")


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
