"""A mean of several verifiers' rewards in units of their standard deviations: an absolute ensemble."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from its.types import Condition
from its.verifier.ensemble import check_members, stacked, summed_costs
from its.verifier.verifier import Verifier, common_probe, probe_of, require_conditions

if TYPE_CHECKING:
    from torch import Tensor


class ZScore:
    """The mean over members of `(reward - mean) / std`, with means and deviations measured beforehand.

    Args:
        members: verifiers by name, two or more, all absolute.
        statistics: mean and standard deviation (above 0) of each member's rewards of plain samplings.

    Raises:
        ValueError: statistics of a member are missing or impossible, or are of nobody among the members.
    """

    absolute: bool = True

    def __init__(self, members: Mapping[str, Verifier], statistics: Mapping[str, Sequence[float]] | None) -> None:
        check_members(members)
        self.probe = common_probe({name: probe_of(each) for name, each in members.items()})
        statistics = statistics or {}
        for name in {**members, **statistics}:
            pair = statistics.get(name, ())
            if name not in members or len(pair) != 2 or not all(map(isfinite, pair)) or pair[1] <= 0:
                raise ValueError(
                    f"verifier.statistics.{name} is {list(pair)} and the members are "
                    f"{', '.join(members)}; give [mean, standard deviation above 0] of each, which "
                    "scripts/standardize.py measures"
                )
        self._verifiers = [members[name] for name in sorted(members)]
        self._statistics = [tuple(statistics[name]) for name in sorted(members)]

    def reward(self, images: Tensor, conditions: Sequence[Condition], guesses: Tensor | None = None) -> Tensor:
        """Score images `[n, C, H, W]`, with their guesses where a member has a probe: `[n]`, float64."""
        rewards = stacked(self._verifiers, images, conditions, guesses)
        mean, std = rewards.new_tensor(self._statistics).unbind(1)
        return ((rewards - mean) / std).mean(dim=1)

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Refuse conditions that a member cannot score."""
        for each in self._verifiers:
            require_conditions(each, conditions)

    def judge_costs(self, images: Tensor, conditions: Sequence[Condition]) -> list[Counter[str]]:
        """Return what those of its members cost that ask a judge elsewhere, for each image."""
        return summed_costs(self._verifiers, images, conditions)
