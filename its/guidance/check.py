"""Checks that guidances make of their parameters."""

from __future__ import annotations

from typing import Any


def check(guidance: Any, **least: float) -> None:
    """Raise ValueError for a parameter below its least value."""
    for name, bound in least.items():
        value = getattr(guidance, name)
        if not value >= bound or (isinstance(bound, int) and not isinstance(value, int)):
            kind = "a whole number of" if isinstance(bound, int) else "a number of"
            raise ValueError(f"guidance.{name} is {value}; it is {kind} at least {bound}")
