"""Checks that searches make of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """What a parameter must fulfil, and how an error says it."""

    says: str
    holds: Callable[[Any], bool]


def _ascends(shares: Sequence[float]) -> bool:
    return len(shares) > 0 and list(shares) == sorted(set(shares)) and 0 <= shares[0] <= shares[-1] < 1


STEPS = Rule("it is steps (>= 1) or a share (< 1) above 0", lambda value: value > 0)
SHARE = Rule("it is a share, above 0 and at most 1", lambda value: 0 < value <= 1)
SHARES = Rule("it lists ascending shares of the sampling, 0 to below 1", _ascends)


def check(search: Any, **rules: Rule | float | Iterable[str]) -> None:
    """Raise ValueError for a parameter that breaks its rule: a `Rule`, a least value, or the names to choose from.

    None, which leaves a size to the cap, breaks none.
    """
    for name, rule in rules.items():
        value, rule = getattr(search, name), _rule(rule)
        if value is not None and not rule.holds(value):
            raise ValueError(f"search.{name} is {value!r}; {rule.says}")


def _rule(rule: Rule | float | Iterable[str]) -> Rule:
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, int | float):
        return Rule(f"it is at least {rule}", lambda value: value >= rule)
    names = tuple(rule)
    return Rule(f"choose one of {', '.join(names)}", lambda value: value in names)
