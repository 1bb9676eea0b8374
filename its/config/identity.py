"""The part of a configuration that decides a run's images: as `config.yaml` records it, and as a hash.

A record keeps what a user would write, with the content of every weights file beside it. Its identity is what two
records are compared by: recorded names instead of dotted ones, content instead of paths, one form for each number, and
nothing that stands at its default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from its.config import names
from its.config.declarations import DEVICE, SETTINGS, SPEED_ONLY, WEIGHTS, marked, parameters
from its.config.smoke import is_twin
from its.pixels import RULE
from its.weights import fingerprint

ABSENT = "absent"
"""In place of a fingerprint, in a plan made where the weights are not."""

OF_DATASET = ("images", "report", "reference", "statistics")
"""Entries of a dataset that may decide anything: problems always, the rest where measuring steers a search."""


def record(sections: Mapping[str, Any], *, planning: bool = False) -> dict[str, Any]:
    """Return the record of those entries of a configuration that decide the images.

    Args:
        planning: weights may be absent.
    """
    return {
        **{key: _recorded(value) for key, value in sections.items()},
        "uint8": RULE,
        "weights": contents(sections, planning=planning),
    }


def identity(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what two records are compared by, under the record's keys."""
    content = record.get("weights", {})
    return {key: _canonical(value, content) for key, value in record.items() if key != "weights"}


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return the keys under which two records are not the same."""
    first, second = identity(one), identity(other)
    return sorted(key for key in first.keys() | second.keys() if hash8(first.get(key)) != hash8(second.get(key)))


def measured_by(node: Any) -> Any:
    """Return what a node that measures images is compared by, with the content of its weights."""
    return _canonical(node, contents(node, planning=True))


def of_before(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record that any version has written, in the form of today."""
    today = names.in_names_of_today(dict(saved))
    search = {key: value for key, value in today["search"].items() if key != "keep_pool"}
    return {**today, "dataset": used(today["dataset"]), "search": search}


def used(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a dataset that may decide anything."""
    return {key: dataset[key] for key in OF_DATASET if dataset.get(key) is not None}


def hash8(identity: Any) -> str:
    """Return eight hex digits of an identity."""
    return sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def contents(node: Any, *, planning: bool = False) -> dict[str, str]:
    """Return the fingerprint of every weights file or folder below a node, by name.

    Raises:
        FileNotFoundError: one is nowhere, and this is no plan.
    """
    marks = {}
    for name in weights_of(node):
        try:
            marks[name] = name if is_twin(name) else fingerprint(name, here=planning)
        except FileNotFoundError:
            if not planning:
                raise
            marks[name] = ABSENT
    return marks


def same_weights(first: Any, second: Any) -> list[str]:
    """Return networks below the first node that are also below the second, under whatever name; never absent ones."""
    of_second = set(_networks(second).values()) - {ABSENT} if weights_of(first) else set()
    return [name for name, content in _networks(first).items() if content in of_second]


def _networks(node: Any) -> dict[str, str]:
    """Return the fingerprints of all weights below a node but for tokenizers and other settings."""
    settings = set(marked(node, SETTINGS))
    return {name: content for name, content in contents(node, planning=True).items() if name not in settings}


def weights_of(node: Any) -> list[str]:
    """Return the names of all weights below a node, in order."""
    return sorted({value for value in marked(node, WEIGHTS) if isinstance(value, str)})


def _recorded(node: Any) -> Any:
    """A node with the defaults of its classes filled in, so that it stays true when a default changes.

    Without what changes no image.
    """
    if isinstance(node, dict):
        declared = _parameters(node)
        defaults = {key: declared[key].default for key in declared if declared[key].has_default}
        return {
            key: _recorded(value)
            for key, value in {**defaults, **node}.items()
            if not (key in declared and declared[key].marks & {DEVICE, SPEED_ONLY})
        }
    return [_recorded(value) for value in node] if isinstance(node, list | tuple) else node


def _canonical(node: Any, content: Mapping[str, str]) -> Any:
    if isinstance(node, float) and node.is_integer():
        return int(node)
    if isinstance(node, list | tuple):
        return [_canonical(value, content) for value in node]
    if not isinstance(node, dict):
        return node

    # Of a class: its recorded name, and parameters that decide images and stand at another value than the default.
    declared, target = _parameters(node), str(node.get("_target_"))
    entries = {}
    for key, value in node.items():
        name = names.recorded_parameter(target, key)
        if key == "_target_":
            entries["is"] = names.recorded(target)
        elif key not in declared:
            entries[name] = _canonical(value, content)
        elif not declared[key].marks & {DEVICE, SPEED_ONLY}:
            by = content.get(value, value) if WEIGHTS in declared[key].marks and isinstance(value, str) else value
            entry, default = (_canonical(each, content) for each in (by, declared[key].default))
            if not _same(entry, default):
                entries[name] = entry
    return entries


def _same(entry: Any, default: Any) -> bool:
    return type(entry) is type(default) and entry == default


def _parameters(node: dict[str, Any]) -> dict[str, Any]:
    target = node.get("_target_")
    return parameters(target) if isinstance(target, str) else {}
