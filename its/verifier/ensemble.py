"""A rank ensemble of verifiers: an image's mean rank among the candidates (Ma et al. 2025, arXiv:2501.09732)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from its.types import Condition
from its.verifier.verifier import (
    Verifier,
    common_probe,
    is_absolute,
    judge_costs_of,
    probe_of,
    require_conditions,
    require_verifier,
    rewards_of,
)

if TYPE_CHECKING:
    from torch import Tensor


class Ensemble:
    """The members' rewards side by side, which `its.particles.order` turns into ranks; one call asks every member.

    Args:
        members: verifiers by name, two or more, all absolute.
    """

    absolute: bool = False

    def __init__(self, members: Mapping[str, Verifier]) -> None:
        check_members(members)
        self.probe = common_probe({name: probe_of(each) for name, each in members.items()})
        self.members = tuple(sorted(members))
        self._verifiers = [members[name] for name in self.members]

    def reward(self, images: Tensor, conditions: Sequence[Condition], guesses: Tensor | None = None) -> Tensor:
        """Score images by every member: `[n, members]`, float64, in the order of `members`.

        Args:
            guesses: of the images, where a member has a probe.
        """
        return stacked(self._verifiers, images, conditions, guesses)

    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Refuse conditions that a member cannot score."""
        for each in self._verifiers:
            require_conditions(each, conditions)

    def judge_costs(self, images: Tensor, conditions: Sequence[Condition]) -> list[Counter[str]]:
        """Return what those of its members cost that ask a judge elsewhere, for each image."""
        return summed_costs(self._verifiers, images, conditions)


def check_members(members: Mapping[str, Verifier]) -> None:
    """Refuse fewer than two members, and relative ones.

    Raises:
        ValueError: a rule is broken, or one of them cannot score images.
    """
    if len(members) < 2:
        raise ValueError(
            f"verifier.members has {len(members)} of them; an ensemble has two or more: add "
            "+verifier@verifier.members.<name>=<verifier>"
        )
    for member in members.values():
        require_verifier(member)
    relative = [name for name, member in members.items() if not is_absolute(member)]
    if relative:
        raise ValueError(f"verifier.members.{relative[0]} is itself relative; give its members directly")


def stacked(
    verifiers: Sequence[Verifier], images: Tensor, conditions: Sequence[Condition], guesses: Tensor | None
) -> Tensor:
    """Score images by every verifier, with their guesses by those that have a probe: `[n, verifiers]`, float64."""
    import torch

    extras = [() if probe_of(verifier) is None else (guesses,) for verifier in verifiers]
    rewards = [rewards_of(each, images, conditions, *more) for each, more in zip(verifiers, extras, strict=True)]
    return torch.stack([each.to(images.device, torch.float64) for each in rewards], dim=1)


def summed_costs(verifiers: Sequence[Verifier], images: Tensor, conditions: Sequence[Condition]) -> list[Counter[str]]:
    """Return what the rewards of images by all verifiers cost, by column of the ledger; see `Paid`."""
    costs = [judge_costs_of(each, images, conditions) for each in verifiers]
    return [sum(map(Counter, of_image), Counter[str]()) for of_image in zip(*costs, strict=True)]
