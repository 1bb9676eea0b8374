"""Checks of parameters: types from the annotations, ranges from rules; the one place where values are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from inspect import getsourcefile, getsourcelines
from math import isnan
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Rule:
    """A condition on a value, and the words in which an error states it."""

    states: str
    holds: Callable[[Any], bool]


ABOVE_ZERO = Rule("it is above 0", lambda value: value > 0)

Rules = Mapping[str, Rule | float | Iterable[Any]]
"""By parameter a `Rule`, the least value, or the values to choose from; None breaks none where the type admits it."""


_hints: Callable[[type], dict[str, Any]] = cache(get_type_hints)
"""The annotated types of a class; a planned search is made, and checked, anew for every image and cap."""


def check(owner: Any, group: str, **rules: Rule | float | Iterable[Any]) -> None:
    """Check every field of a dataclass instance against its annotation, and the named fields against their rules.

    Args:
        owner: the instance.
        group: the part of a configuration that it comes from: `search`, `sampler`, ...
        rules: see `Rules`.

    Raises:
        ValueError: names the first parameter that breaks a rule, its value and the rule.
    """
    values = {field.name: getattr(owner, field.name) for field in fields(owner)}
    check_values(values, _hints(type(owner)), f"{group}.", rules)


def check_values(values: Mapping[str, Any], hints: Mapping[str, Any], prefix: str, rules: Rules) -> None:
    """Check values by name against annotated types, where there are any, and against rules.

    Args:
        prefix: of the names in an error.

    Raises:
        ValueError: see `check`.
    """
    for name, value in values.items():
        rule = _rule(rules[name], hints.get(name, Any)) if name in rules else None
        least = rule is not None and isinstance(rules[name], int | float)
        if not fits(value, hints.get(name, Any)):
            states = rule.states if rule is not None and least else f"it is {described(hints[name])}"
            raise ValueError(f"{prefix}{name} is {value!r}; {states}")
        if rule is not None and value is not None and not rule.holds(value):
            raise ValueError(f"{prefix}{name} is {value!r}; {rule.states}")


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of an annotated type; true and false are no numbers, and NaN is none either."""
    # Plain types.
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and not isnan(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)

    # Composed types.
    if origin in (Union, UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(entry, arguments[1]) for entry in value.values())
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and all(fits(entry, arguments[0]) for entry in value)
        )
    return isinstance(value, hint) if isinstance(hint, type) else True


def described(hint: Any) -> str:
    """Describe an annotated type as an error states it."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in words:
        return words[hint]
    if origin in (Union, UnionType):
        return " or ".join(described(argument) for argument in arguments)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping to {described(arguments[1])}"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return f"a list, each entry {described(arguments[0])}"
    return getattr(hint, "__name__", str(hint))


def _rule(rule: Rule | float | Iterable[Any], hint: Any) -> Rule:
    """Make a `Rule` of a least value of an annotated type, or of the values to choose from."""
    if isinstance(rule, Rule):
        return rule
    if isinstance(rule, int | float):
        numbers = [kind for kind in (get_args(hint) or (hint,)) if kind is not NoneType]
        return Rule(f"it is {described(numbers[0])} of at least {rule:g}", lambda value: value >= rule)
    choices = tuple(rule)
    return Rule(f"choose one of {', '.join(map(str, choices))}", lambda value: value in choices)


def place_of(kind: type) -> str:
    """Return the file and line of a class, `<file>:<line>`; its name where no file has it."""
    try:
        return f"{getsourcefile(kind)}:{getsourcelines(kind)[1]}"
    except (OSError, TypeError):
        return f"{kind.__module__}.{kind.__qualname__}"
