"""The state dict in a checkpoint: training scripts wrap it in dicts, keep an average beside it and prefix its names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

StateDict = dict[str, Tensor]

DEEPEST = 2
"""Dicts that a state dict may be wrapped in."""

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Beginnings of all names of a network that was wrapped: by nn.DataParallel, torch.compile or a training module."""

TRAINING = re.compile(r"opt|sched|lr_|scaler|loop|callback", re.IGNORECASE)
"""Keys below which a training script keeps its own state, which may hold tensors too."""

AVERAGE = re.compile(r"(^|[^a-z])ema([^a-z]|$)", re.IGNORECASE)
"""Keys of an exponential moving average of the weights."""

UPDATES = "n_averaged"
"""A tensor that torch's AveragedModel counts its updates in."""

log = logging.getLogger(__name__)


def chosen(content: Any, key: str | None, source: str) -> StateDict:
    """Choose the state dict of a checkpoint: the named one, the only one, or else its exponential moving average.

    Args:
        key: keys that lead to the state dict, joined by points; None for the rule above.
        source: name of the file, for messages.

    Raises:
        ValueError: there is none, not the named one, or there are several and not one average among them.
    """
    # Find them.
    found = dict(state_dicts(content))
    if not found:
        raise ValueError(f"{source} holds no tensors by name{_first_other(content)}; save the network's state_dict()")
    if key is not None and key not in found:
        names = ", ".join(filter(None, found))
        rule = f"choose one of {names}" if names else "there is only one, not wrapped: set weights_key=null"
        raise ValueError(f"weights_key is {key!r}, and {source} has no state dict there; {rule}")

    # Choose one: an average by its own key, or by those around it.
    averages = [name for name in found if AVERAGE.search(name.rpartition(".")[2])]
    averages = averages or [name for name in found if AVERAGE.search(name)]
    if key is None and not averages and (lost := _other_average(content)):
        raise ValueError(
            f"{source} holds an average of the weights under {lost!r}, in a form that is not read here; take the "
            f"weights themselves, weights_key={next(iter(found))}, or save the average's state_dict()"
        )
    if key is None and len(found) > 1 and len(averages) != 1:
        raise ValueError(
            f"{source} holds the state dicts {', '.join(found)}, and which of them is meant is not guessed; "
            f"set weights_key beside weights, such as weights_key={next(iter(averages or found))}"
        )
    name = key if key is not None else averages[0] if len(found) > 1 else next(iter(found))
    if name:
        others = ", ".join(other for other in found if other != name)
        log.info("%s: weights are %r%s", source, name, f" (weights_key; there are also {others})" if others else "")
    return plain_names(found[name])


def state_dicts(content: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, StateDict]]:
    """Yield the state dicts in a checkpoint with the keys that lead to them, joined by points.

    Numbers and words among a state dict's tensors are left out; tensors of one number alone are none.
    """
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        return
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    rest = {key: value for key, value in content.items() if key not in tensors}
    if all(value is None or isinstance(value, bool | int | float | str) for value in rest.values()):
        if copies := _copies(tensors):
            for prefix, part in copies.items():
                yield f"{path}.{prefix}".lstrip("."), part
        elif any(value.ndim for value in tensors.values()):
            yield path, tensors
    elif depth < DEEPEST:
        for key, value in rest.items():
            if not TRAINING.match(key):
                yield from state_dicts(value, f"{path}.{key}".lstrip("."), depth + 1)


def _copies(tensors: StateDict) -> dict[str, StateDict]:
    """Return the weights and their average, by prefix, where a training module keeps both in one state dict; else none.

    Tensors of the module itself (`step`) are left out.
    """
    parts: dict[str, StateDict] = {}
    for name, value in tensors.items():
        prefix, point, rest = name.partition(".")
        if point:
            parts.setdefault(prefix, {})[rest] = value
    shapes = [{name: value.shape for name, value in part.items()} for part in parts.values()]
    alike = len(parts) > 1 and all(part == shapes[0] for part in shapes)
    return parts if alike and any(AVERAGE.search(prefix) for prefix in parts) else {}


def plain_names(state: StateDict) -> StateDict:
    """Remove prefixes that all names of a state dict share."""
    if any(name.startswith(PREFIXES[0]) for name in state):
        state = {name: value for name, value in state.items() if name != UPDATES}
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return plain_names({name.removeprefix(prefix): value for name, value in state.items()})
    return state


def _other_average(content: Any) -> str | None:
    """Return the key of an average that is no state dict; None if there is none."""
    keys = [
        key for key, value in content.items() if AVERAGE.search(key) and isinstance(value, Mapping | Sequence) and value
    ]
    return next((key for key in keys if not isinstance(content[key], str)), None)


def _first_other(content: Any) -> str:
    """Say what a checkpoint holds instead of tensors."""
    if not isinstance(content, Mapping):
        return f" but a {type(content).__name__}"
    kinds = [f"{key!r} is a {type(value).__name__}" for key, value in content.items() if not isinstance(value, Tensor)]
    return f" (its {kinds[0]})" if kinds else ""
