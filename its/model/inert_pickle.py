"""torch's checkpoints read without running any of them: tensors and containers are made, all else becomes a record.

It is `pickle_module` of torch.load: where a pickle names a class or a function, `Record` stands in for it.
"""

from __future__ import annotations

import pickle
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor


class Record(dict):
    """A pickled object's state, and nothing that it could do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    __hash__ = object.__hash__  # type: ignore[assignment]
    dump_patches = False  # torch before 1.6 asks each module

    def __setstate__(self, state: Any) -> None:
        self.update(state if isinstance(state, dict) else {})

    def append(self, item: Any) -> None:
        """Drop what a list would keep."""

    def extend(self, items: Any) -> None:
        """Drop what a list would keep."""

    def add(self, item: Any) -> None:
        """Drop what a set would keep."""


class Unpickler(pickle.Unpickler):
    """An unpickler to which every name but those of tensors and plain containers is a `Record`."""

    allowed: ClassVar[dict[str, Callable[..., Any]]] = {
        "collections.OrderedDict": OrderedDict,
        "builtins.set": set,
        "builtins.frozenset": frozenset,
        "torch.Size": torch.Size,
        "torch._utils._rebuild_tensor": torch._utils._rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": torch._utils._rebuild_tensor_v2,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
    }

    def find_class(self, module: str, name: str) -> Any:
        return self.allowed.get(f"{module}.{name}", Record)


def load(file: Any, **options: Any) -> Any:
    """Read one pickle of a stream."""
    return Unpickler(file, **options).load()


def contents(path: Path) -> Any:
    """Read a checkpoint in torch's format; of every module in it, its state dict, and of all else only tensors.

    Raises:
        ValueError: the file is damaged, a TorchScript archive, or no checkpoint.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                raise ValueError(f"{path} is a TorchScript archive, which is code; save the network's state_dict()")
    try:
        with warnings.catch_warnings():
            # A record is not the class whose source an old pickle holds, and need not be.
            warnings.simplefilter("ignore", torch.serialization.SourceChangeWarning)
            content = torch.load(path, map_location="cpu", weights_only=False, pickle_module=sys.modules[__name__])
    except Exception as error:  # a damaged pickle may ask anything of a record
        raise ValueError(
            f"{path} is no checkpoint that torch saved, or is damaged ({error}); fetch it again"
        ) from error
    return tensors_of(content)


def tensors_of(content: Any) -> Any:
    """Return a checkpoint's tensors in their dicts, with the state dict of each module in its place."""
    if isinstance(content, Record) and "_modules" in content:
        return state_dict(content)
    if isinstance(content, dict):
        parts = {key: tensors_of(value) for key, value in content.items() if isinstance(value, Tensor | dict)}
        return {key: value for key, value in parts.items() if isinstance(value, Tensor) or value}
    return content


def state_dict(record: dict[str, Any], prefix: str = "") -> dict[str, Tensor]:
    """Collect parameters and buffers of a module's record, by dotted name."""
    values = {**record.get("_parameters", {}), **record.get("_buffers", {})}
    transient = record.get("_non_persistent_buffers_set", ())
    state = {
        prefix + name: value.detach().contiguous()
        for name, value in values.items()
        if isinstance(value, Tensor) and name not in transient
    }
    for name, child in record.get("_modules", {}).items():
        if child is not None:
            state |= state_dict(child, f"{prefix}{name}.")
    return state
