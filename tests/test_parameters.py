"""Parameters are checked by type and by rule, in the words that an error states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from its.parameters import ABOVE_ZERO, Rule, check, described, fits


@dataclass(frozen=True)
class Owner:
    """A class with one parameter of each plain type."""

    count: int = 1
    share: float = 0.5
    size: int | None = None
    flag: bool = False
    times: Sequence[float] = (1.0,)
    name: str = "a"

    def __post_init__(self) -> None:
        check(self, "owner", count=1, share=ABOVE_ZERO, size=2, name=("a", "b"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 2.5}, "owner.count is 2.5; it is a whole number of at least 1"),
        ({"count": True}, "owner.count is True; it is a whole number of at least 1"),
        ({"count": 0}, "owner.count is 0; it is a whole number of at least 1"),
        ({"count": None}, "owner.count is None; it is a whole number of at least 1"),
        ({"share": "abc"}, "owner.share is 'abc'; it is a number"),
        ({"share": float("nan")}, "owner.share is nan; it is a number"),
        ({"share": 0}, "owner.share is 0; it is above 0"),
        ({"size": 1}, "owner.size is 1; it is a whole number of at least 2"),
        ({"flag": 1}, "owner.flag is 1; it is true or false"),
        ({"times": [1.0, "b"]}, "owner.times is [1.0, 'b']; it is a list, each entry a number"),
        ({"times": "ab"}, "owner.times is 'ab'; it is a list, each entry a number"),
        ({"name": "c"}, "owner.name is 'c'; choose one of a, b"),
    ],
)
def test_check_names_value_and_rule(values: dict[str, Any], message: str):
    with pytest.raises(ValueError) as error:
        Owner(**values)
    assert str(error.value) == message


@pytest.mark.parametrize("values", [{}, {"share": 1}, {"size": None}, {"size": 2}, {"times": [1, 2.5]}, {"name": "b"}])
def test_check_admits_what_the_annotation_says(values: dict[str, Any]):
    Owner(**values)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, float, True),
        (1.0, int, False),
        (True, float, False),
        ("x", Literal["x", "y"], True),
        ("z", Literal["x", "y"], False),
        ({"a": 1.0}, Mapping[str, float], True),
        ({"a": "b"}, Mapping[str, float], False),
        (object(), Any, True),
        (3, Rule, False),
    ],
)
def test_fits_tells_numbers_flags_and_choices_apart(value: Any, hint: Any, expected: bool):
    assert fits(value, hint) is expected


def test_described_reads_as_a_sentence():
    assert described(int | None) == "a whole number or null"
    assert described(Literal["x", "y"]) == "one of x, y"
    assert described(Mapping[str, float]) == "a mapping to a number"
