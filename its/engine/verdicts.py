"""What verifiers said, counted: rewards by the role of the verifier, and by whether they are numbers to compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

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
