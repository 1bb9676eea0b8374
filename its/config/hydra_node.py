"""Hydra's own node of a configuration, by which Hydra makes objects, folders and logs before any code of ours runs.

It is what `conf/config.yaml` alone makes of it, unresolved, but for the few entries that are known here; whatever else
differs is refused, in whatever way it came there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.types import RunMode

LAUNCHERS = (
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
    "hydra_plugins.its_launcher.launcher.LocalLauncher",
    "hydra_plugins.its_launcher.launcher.SlurmLauncher",
)
COMMAND_LINE = ("hydra", "plugins")
"""First parts of keys that only a command line may give a value."""

OURS = ("hydra.runtime.choices", "hydra.runtime.config_sources", "hydra.runtime.cwd", "hydra.job.override_dirname")
"""Entries that Hydra fills in from the words."""


def check_hydra(node: Mapping[str, Any], reference: Mapping[str, Any], words: Sequence[str]) -> None:
    """Refuse Hydra's node where it says more than Hydra, a known launcher and a sweep's axes need.

    Args:
        node, reference: unresolved; of this configuration and of `conf/config.yaml` alone.
        words: that the configuration was composed of.

    Raises:
        ValueError: naming an entry and its value.
    """
    overrides = node["overrides"]
    known = {
        "hydra.mode": node["mode"] is None or isinstance(node["mode"], RunMode),
        "hydra.verbose": _is_plain(node["verbose"]),
        "hydra.searchpath": _is_plain(node["searchpath"])
        and (not node["searchpath"] or any(word.startswith("hydra.searchpath=") for word in words)),
        "hydra.overrides": sorted([*overrides["hydra"], *overrides["task"]]) == sorted(words),
        "hydra.launcher": _is_launcher(node["launcher"]),
        "hydra.sweeper.params": _are_axes(_entry(node["sweeper"], "params")),
    }
    for path, value in _differences(node, reference, "hydra", {*known, *OURS}):
        raise ValueError(f"{path} is {value!r}; {_rule()}")
    for path, right in known.items():
        if not right:
            raise ValueError(f"{path} is {_at(node, path)!r}; {_rule()}")


def _rule() -> str:
    return (
        "of Hydra's settings a YAML may give plain values to hydra.mode, hydra.verbose, hydra.launcher and "
        "hydra.sweeper.params (without plugins or hydra), a command line to hydra.searchpath too: take it out"
    )


def _differences(node: Any, reference: Any, path: str, known: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield entries that are not as in the reference, or only there, but for known ones."""
    if path in known:
        return
    if isinstance(node, Mapping) and isinstance(reference, Mapping):
        for key in dict.fromkeys((*node, *reference)):
            yield from _differences(node.get(key), reference.get(key), f"{path}.{key}", known)
    elif type(node) is not type(reference) or node != reference:
        yield path, node


def _is_launcher(node: Any) -> bool:
    return (
        isinstance(node, Mapping)
        and node.get("_target_") in LAUNCHERS
        and all(key == "_target_" or not str(key).startswith("_") for key in node)
        and all(_is_plain(value) and not isinstance(value, list) for value in node.values())
    )


def _are_axes(node: Any) -> bool:
    """Whether these are axes of a sweep over the task's own keys."""
    return node is None or (
        isinstance(node, Mapping)
        and all(_is_plain(value) for value in node.values())
        and not any(first_part(str(key)) in COMMAND_LINE for key in node)
    )


def first_part(key: str) -> str:
    """Return what stands before the first dot, slash or at sign of a key of a command line."""
    return key.lstrip("+~ ").replace("/", ".").replace("@", ".").partition(".")[0].strip()


def _is_plain(value: Any) -> bool:
    """Whether a value is a literal, or a list of literals, that resolves to nothing else."""
    if isinstance(value, list):
        return all(_is_plain(entry) and not isinstance(entry, list) for entry in value)
    return value is None or (isinstance(value, str | bool | int | float) and "${" not in str(value))


def _entry(node: Any, key: str) -> Any:
    return node.get(key) if isinstance(node, Mapping) else None


def _at(node: Any, path: str) -> Any:
    for key in path.split(".")[1:]:
        node = _entry(node, key)
    return node
