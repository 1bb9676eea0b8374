"""Objects from configuration nodes, and the rule that keeps a YAML from running code.

The only caller of Hydra's instantiate. A `_target_` names something *defined in* `its` or in a package
that the user lists in `plugins` on the command line; nothing else is made, however it is spelt.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

FORBIDDEN = ("_partial_", "_args_")
CHOICES = ("its.budget", "its.dataset", "its.metric", "its.model", "its.sampler", "its.search", "its.verifier")
"""Where the choices of the groups are defined; nothing else of `its` is made from a YAML."""


def instantiate(node: Any, packages: Sequence[str]) -> Any:
    """Make the object of a plain node whose every `_target_` is defined in `packages`."""
    import hydra.utils
    from hydra.errors import InstantiationException

    check_targets(node, packages)
    try:
        return hydra.utils.instantiate(node, _convert_="all")
    except InstantiationException as error:
        raise ValueError(str(error.__cause__ or error)) from error


def check_targets(node: Any, packages: Sequence[str]) -> None:
    """Refuse a node that names anything not defined in `packages`."""
    if isinstance(node, list):
        for value in node:
            check_targets(value, packages)
    if not isinstance(node, dict):
        return
    for key in FORBIDDEN:
        if key in node:
            raise ValueError(f"{key} in a configuration is not allowed; write a class that takes it by name")
    if "_target_" in node:
        _check_target(node["_target_"], packages)
    for value in node.values():
        check_targets(value, packages)


def _check_target(target: Any, packages: Sequence[str]) -> None:
    """Only objects defined in the given packages, looked up by plain attribute access on a module."""
    rule = f"it must be defined in {', '.join(packages)}; list your own package in plugins=[...] on the command line"
    if not isinstance(target, str) or target.count(".") < 1:
        raise ValueError(f"_target_ is {target!r}; {rule}")
    module_name, name = target.rsplit(".", 1)
    if not _inside(module_name, packages) or name.startswith("_"):
        raise ValueError(f"_target_ is {target!r}; {rule}")
    try:
        found = getattr(import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"_target_ is {target!r}, and there is no such thing: {error}") from error
    if not _inside(getattr(found, "__module__", ""), packages):
        raise ValueError(f"_target_ is {target!r}, which comes from {getattr(found, '__module__', None)}; {rule}")


def _inside(module: str, packages: Sequence[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)
