"""A rank ensemble of verifiers: an image's mean rank among the candidates (Ma et al. 2025, arXiv:2501.09732)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from its.types import Condition
from its.verifier.verifier import Verifier, is_absolute, require_verifier, rewards_of

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
        self.members = tuple(sorted(members))
        self._verifiers = [members[name] for name in self.members]

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images by every member: `[n, members]`, float64, in the order of `members`."""
        return stacked(self._verifiers, images, conditions)


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


def stacked(verifiers: Sequence[Verifier], images: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """Score images by every verifier: `[n, verifiers]`, float64."""
    import torch

    return torch.stack(
        [rewards_of(verifier, images, conditions).to(images.device, torch.float64) for verifier in verifiers], dim=1
    )
