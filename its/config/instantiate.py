"""Making objects from configuration nodes, and the rule that keeps a YAML from running code.

Nothing else makes an object of a configuration. A `_target_` names one of the classes and loaders of
`its.config.names`, or what is *defined in* a package that the user lists in `plugins` on the command line, which the
object itself says. A node is made as it stands, resolved once and for all: what looks like an interpolation in it is
text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from operator import attrgetter
from traceback import extract_tb
from typing import Any

from its.config.names import NAMES
from its.config.plugins import name_of
from its.config.shelf import Shelf
from its.process.modules import file_of

CHOICES = tuple(dotted_names[0] for dotted_names in NAMES.values())
"""What a YAML may name of `its`."""

TARGET = "_target_"


def packages_of(plugins: Sequence[str]) -> tuple[str, ...]:
    """Return what a YAML may name under these entries of `plugins`: classes and functions of `its`, and packages."""
    return (*CHOICES, *map(name_of, plugins))


def instantiate(node: Any, allowed: Sequence[str], shelf: Shelf | None = None) -> Any:
    """Make the object of a plain node, and those of the nodes in it.

    Args:
        allowed: names of classes and functions of `its`, and packages of others.
        shelf: of loaded networks; None loads all of them now.

    Raises:
        ValueError: a target is not allowed, or its object refuses what it is given.
    """
    check_targets(node, allowed)
    for _, key, value in _entries(node):
        if key == TARGET:
            defined(value, allowed)
    return _made(node, allowed, Shelf() if shelf is None else shelf)


def check_targets(node: Any, allowed: Sequence[str]) -> None:
    """Refuse a node with a target that is not allowed, or a key that changes how Hydra calls; import nothing.

    Raises:
        ValueError: naming the key or the target.
    """
    for path, key, value in _entries(node):
        if key == TARGET:
            if not isinstance(value, str) or not may_name(value, allowed):
                raise ValueError(refusal(path.removesuffix(TARGET).rstrip("."), value, allowed))
        elif isinstance(key, str) and key.startswith("_") and key.endswith("_"):
            raise ValueError(f"{path} is not allowed in a configuration; write a class that takes it by name")


def refusal(path: str, target: Any, allowed: Sequence[str]) -> str:
    """Return what is said of a node whose `_target_` is not allowed."""
    return f"{f'{path}.{TARGET}'.lstrip('.')} is {target!r}; {_rule(allowed)}"


def may_name(target: str, allowed: Sequence[str]) -> bool:
    """Return whether a `_target_` is one of those that are allowed."""
    module, _, name = target.rpartition(".")
    return _is_allowed(module, name, allowed)


def defined(target: str, allowed: Sequence[str]) -> Any:
    """Import and return the class or function that `target` names.

    Raises:
        ValueError: there is no such thing, or its own name says that it comes from elsewhere.
    """
    module, _, name = target.rpartition(".")
    try:
        definition = getattr(import_module(module), name)
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(file_of(module))]
        if not lines:
            raise ValueError(f"{TARGET} is {target!r}, and there is no such thing: {error}") from error
        what = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        place = f"{file_of(module)}:{lines[-1]}"
        raise ValueError(f"{place}: {what}, which ends the import of {TARGET} {target}") from error
    home, own_name = (getattr(definition, key, None) or "" for key in ("__module__", "__qualname__"))
    if not (callable(definition) and _is_allowed(home, own_name, allowed) and _is_there(definition, home, own_name)):
        raise ValueError(f"{TARGET} is {target!r}, which is {home}.{own_name or type(definition)}; {_rule(allowed)}")
    return definition


def _made(node: Any, allowed: Sequence[str], shelf: Shelf) -> Any:
    if isinstance(node, list):
        return [_made(value, allowed, shelf) for value in node]
    if not isinstance(node, dict):
        return node
    return shelf.take(node, lambda: _called(node, allowed, shelf))


def _called(node: dict[str, Any], allowed: Sequence[str], shelf: Shelf) -> Any:
    """Call what a node names with its values, which are made first; without a target they are what it is."""
    values = {key: _made(value, allowed, shelf) for key, value in node.items() if key != TARGET}
    if TARGET not in node:
        return values
    try:
        return defined(node[TARGET], allowed)(**values)
    except Exception as error:
        raise ValueError(str(error)) from error


def _is_allowed(module: str, name: str, allowed: Sequence[str]) -> bool:
    """Whether a name of a module is listed, or public in a listed package; `its` itself is no such package."""
    if f"{module}.".startswith("its."):
        return f"{module}.{name}" in allowed
    inside = any(f"{module}.".startswith(f"{package}.") for package in allowed)
    return inside and name.isidentifier() and not name.startswith("_")


def _is_there(definition: Any, module: str, name: str) -> bool:
    """Whether an object is what its own name names, and has not only been given that name."""
    try:
        return attrgetter(name)(sys.modules[module]) is definition
    except (AttributeError, KeyError):
        return False


def _rule(allowed: Sequence[str]) -> str:
    theirs = "".join(f" or in {name}" for name in allowed if not name.startswith("its."))
    return (
        f"it must be defined in its, as what conf/ names{theirs}; list your own package in plugins=[...] on the "
        "command line"
    )


def _entries(node: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the place, key and value of every entry below a node."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        below = f"{path}.{key}".lstrip(".")
        yield below, key, value
        yield from _entries(value, below)
