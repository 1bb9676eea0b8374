"""Making objects from configuration nodes, and the rule that keeps a YAML from running code.

The only caller of Hydra's instantiate. A `_target_` names something *defined in* `its` or in a package
that the user lists in `plugins` on the command line; nothing else is made, however it is spelt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any

FORBIDDEN = ("_partial_", "_args_")
CHOICES = (
    "its.budget",
    "its.classifier",
    "its.dataset",
    "its.guidance",
    "its.metric",
    "its.model",
    "its.sampler",
    "its.search",
    "its.tracker",
    "its.verifier",
)
"""Where the choices of the groups are defined; nothing else of `its` is made from a YAML."""


def instantiate(node: Any, packages: Sequence[str]) -> Any:
    """Make the object of a plain node whose every `_target_` is defined in `packages`.

    Raises:
        ValueError: a target is not, or its object refuses what it is given.
    """
    import hydra.utils
    from hydra.errors import InstantiationException

    check_targets(node, packages)
    for part in _nodes(node):
        defined(part["_target_"], packages)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise ValueError(str(error.__cause__ or error)) from error


def check_targets(node: Any, packages: Sequence[str]) -> None:
    """Refuse a node with a name from outside `packages`, or a key that changes how Hydra calls; import nothing.

    Raises:
        ValueError: naming the key or the target.
    """
    for key in _keys(node):
        if key in FORBIDDEN:
            raise ValueError(f"{key} in a configuration is not allowed; write a class that takes it by name")
    for target in (part["_target_"] for part in _nodes(node)):
        module, _, name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
        if not _inside(module, packages) or name.startswith("_"):
            raise ValueError(f"_target_ is {target!r}; {_rule(packages)}")


def defined(target: str, packages: Sequence[str]) -> Any:
    """Import and return what `target` names.

    Raises:
        ValueError: there is no such thing, or a module of `packages` has only imported it from elsewhere.
    """
    module, _, name = target.rpartition(".")
    try:
        definition = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"_target_ is {target!r}, and there is no such thing: {error}") from error
    origin = getattr(definition, "__module__", "")
    if not _inside(origin, packages):
        raise ValueError(f"_target_ is {target!r}, which comes from {origin!r}; {_rule(packages)}")
    return definition


def _rule(packages: Sequence[str]) -> str:
    return f"it must be defined in {', '.join(packages)}; list your own package in plugins=[...] on the command line"


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict) and "_target_" in node:
        yield node
    for value in _children(node):
        yield from _nodes(value)


def _keys(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node
    for value in _children(node):
        yield from _keys(value)


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()


def _inside(module: str, packages: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
