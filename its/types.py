"""The nouns that every room shares: a problem, and the condition that it is made under."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

T = TypeVar("T")
SpeedOnly = Annotated[T, "changes speed only"]
"""Annotation of a parameter that changes how fast images are made, and never an image."""

RunPlace = str
"""Marks a parameter that is filled in with the run's folder, unless it is given; beside `SpeedOnly`."""

Condition = int | str | None


@dataclass(frozen=True)
class Problem:
    """One image to make.

    Attributes:
        index: position in the run, from 0; with the run's seed it keys every draw.
        condition: class id, prompt, or None.
    """

    index: int
    condition: Condition = None
