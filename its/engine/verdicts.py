"""What verifiers said, counted: rewards by the role of the verifier, and by whether they are numbers to compare."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from its.particles.image import Image

log = logging.getLogger(__name__)

_TOLD = "verifier %s (%s) gave %s to image %d; the end says how many images got any"

ROLES = ("select", "guide")
FINITE, NAN, INFINITE = "finite", "nan", "inf"
KINDS = (FINITE, NAN, INFINITE)
WORDS = {NAN: "NaN", INFINITE: "an infinite reward"}
"""The kinds of rewards that are no numbers to compare, in words."""

Verdict = tuple[str, str]
"""The role of a verifier, and the kind of a reward that it gave."""


Verdicts = Counter[Verdict]
"""The number of each verdict."""


def kinds_of(rewards: np.ndarray) -> list[str]:
    """Return the kind of each reward of `[n]`, or of each image of `[n, members]`: `nan` if one member's is."""
    each = rewards.reshape(len(rewards), -1)
    numbers = np.where(np.isnan(each).any(axis=1), 1, np.where(np.isinf(each).any(axis=1), 2, 0))
    return [KINDS[number] for number in numbers]


def verdicts_of(rewards: np.ndarray, role: str = "select") -> Verdicts:
    """Count rewards `[n]`, or `[n, members]`, of one role."""
    return Verdicts((role, kind) for kind in kinds_of(rewards))


def sum_verdicts(parts: Iterable[Mapping[Verdict, int]]) -> Verdicts:
    """Add up counts."""
    total = Verdicts()
    for part in parts:
        total.update(part)
    return total


class Judged(Protocol):
    """A run of a search, as far as verdicts go."""

    image: Image
    verdicts: Verdicts


class Jury:
    """Counts the verdicts of a stream in its runs, and logs the first of each kind that is no number to compare."""

    def __init__(self) -> None:
        self._told: set[Verdict] = set()

    def note(self, role: str, verifier: str, runs: Sequence[Judged], rewards: np.ndarray) -> None:
        """Count the kinds of rewards `[n]`, or `[n, members]`, that a verifier gave to runs."""
        for run, kind in zip(runs, kinds_of(rewards), strict=True):
            run.verdicts[role, kind] += 1
            if kind in WORDS and (role, kind) not in self._told:
                self._told.add((role, kind))
                log.warning(_TOLD, verifier, role, WORDS[kind], run.image.problem.index)
