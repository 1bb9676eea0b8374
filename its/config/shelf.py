"""Networks that outlive a run: the next run of the same process that names the same ones finds them loaded.

A network is known by the node that names it: the loader, every argument, and the content of its weights. So what is
found is what the loader would make, and a run has the bits that it has in a process of its own.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

from its.config.declarations import WEIGHTS, parameters
from its.config.names import recorded
from its.weights import file_name, fingerprint


class Shelf:
    """The loaded networks of a process, by what names them; each is there once, whoever uses it."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._loaded)

    def keep(self, node: Any) -> None:
        """Let go of the networks that are not named at or below a node: room for those that are to be loaded."""
        if self._loaded:
            names = {name_of(each) for each in _loaders(node)}
            self._free([name for name in self._loaded if name not in names])

    def clear(self) -> None:
        """Let go of every network."""
        self._free([*self._loaded])

    def take(self, node: dict[str, Any], make: Callable[[], Any]) -> Any:
        """Return what a node names: as it is here, or made now; what is no loader's of `its` is always made."""
        if not _is_loader(node):
            return make()
        name = name_of(node)
        if name not in self._loaded:
            self._loaded[name] = make()
        return self._loaded[name]

    def _free(self, names: list[str]) -> None:
        for name in names:
            del self._loaded[name]
        gc.collect()  # of the run that used them
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.empty_cache()


def name_of(node: Any) -> str:
    """Return the text of a node, with the content of weights for their places, and of single files the names too.

    Weights that are not here are named by their place alone, and those that a loader finds by itself not at all.
    """
    if isinstance(node, list | tuple):
        return f"[{', '.join(map(name_of, node))}]"
    if not isinstance(node, dict):
        return repr(node)
    weights = _weights(node)
    entries = {repr(key): (_content if key in weights else name_of)(value) for key, value in node.items()}
    return f"{{{', '.join(f'{key}: {entries[key]}' for key in sorted(entries))}}}"


def _content(weights: Any) -> str:
    try:
        return repr((fingerprint(weights), file_name(weights)) if isinstance(weights, str) else weights)
    except FileNotFoundError:
        return repr(weights)


def _loaders(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the nodes at or below a node that load networks."""
    if isinstance(node, dict) and _is_loader(node):
        yield node
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        yield from _loaders(value)


def _is_loader(node: dict[str, Any]) -> bool:
    """Return whether a node is of a loader of `its` that takes weights."""
    target = node.get("_target_")
    return isinstance(target, str) and recorded(target) != target and bool(_weights(node))


def _weights(node: dict[str, Any]) -> set[str]:
    """Return the keys under which what a node names takes weights."""
    target = node.get("_target_")
    declared = parameters(target) if isinstance(target, str) else {}
    return {key for key, each in declared.items() if WEIGHTS in each.marks}
