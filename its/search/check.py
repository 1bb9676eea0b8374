"""Checks that several searches make of their parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def steps_or_shares(search: Any, *names: str) -> None:
    """Numbers of steps (>= 1) or shares of the sampling (< 1)."""
    for name in names:
        if getattr(search, name) <= 0:
            raise ValueError(f"search.{name} is {getattr(search, name)}; it is steps (>= 1) or a share (< 1) above 0")


def at_least(low: float, search: Any, *names: str) -> None:
    """Numbers, or null for what a cap decides."""
    for name in names:
        value = getattr(search, name)
        if value is not None and value < low:
            raise ValueError(f"search.{name} is {value}; it is at least {low}")


def one_of(search: Any, name: str, choices: Iterable[str]) -> None:
    """A name among others."""
    if getattr(search, name) not in choices:
        raise ValueError(f"search.{name} is {getattr(search, name)!r}; choose one of {', '.join(choices)}")
