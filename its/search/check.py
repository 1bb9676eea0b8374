"""Checks that searches make of their parameters."""

from __future__ import annotations

from typing import Any

STEPS = "steps or a share"
"""Rule: a number of steps (>= 1), or a share of the sampling (above 0 and below 1)."""


def check(search: Any, **rules: Any) -> None:
    """Raise ValueError for a parameter that breaks its rule: a least value, `STEPS`, or the names to choose from.

    None, which leaves a size to the cap, breaks none.
    """
    for name, rule in rules.items():
        value = getattr(search, name)
        if value is None:
            continue
        if rule is STEPS:
            if value <= 0:
                raise ValueError(f"search.{name} is {value}; it is steps (>= 1) or a share (< 1) above 0")
        elif isinstance(rule, int | float):
            if value < rule:
                raise ValueError(f"search.{name} is {value}; it is at least {rule}")
        elif value not in rule:
            raise ValueError(f"search.{name} is {value!r}; choose one of {', '.join(rule)}")
