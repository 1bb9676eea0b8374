"""Compares what a search object holds before and after an image: images that share state depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache, cached_property
from pickle import dumps
from typing import Any

SCALARS = (int, float, str, bool, type(None))


def state_of(search: Any) -> dict[str, Any]:
    """Return the values of a search and of its classes by name, as copies that can be compared."""
    kind: Any = type(search)
    shared, computed = _class_names(kind)
    values = {name: getattr(kind, name) for name in shared} | vars(search)
    return {name: _copied(value) for name, value in values.items() if name not in computed}


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Return the name of a value that is another, or new; None if there is none."""
    if before == after:
        return None
    return next((name for name in after if name not in before or before[name] != after[name]), None)


@cache
def _class_names(kind: type) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of class attributes that are values, and of properties that are computed once."""
    attributes = {name: value for owner in kind.__mro__ for name, value in vars(owner).items()}
    shared = {
        name
        for name, value in attributes.items()
        if not (name.startswith(("__", "_abc_")) or callable(value) or hasattr(type(value), "__get__"))
    }
    return frozenset(shared), frozenset(
        name for name, value in attributes.items() if isinstance(value, cached_property)
    )


def _copied(value: Any) -> Any:
    """Return a value's bytes; itself if it cannot change, and its identity if it is code or has no bytes."""
    if type(value) in SCALARS:
        return value
    if not callable(value):
        with suppress(Exception):
            return dumps(value)
    return id(value)
