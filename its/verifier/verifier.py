"""The contract of verifiers: they score images during a search, and never measure the result.

Modules of this room import torch only when a verifier is called: a plan, which loads no torch, reads their classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class Verifier(Protocol):
    """A scorer of images; higher is better.

    Attributes:
        absolute: whether a reward means the same in any company; a rank ensemble's does not.
    """

    absolute: bool

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Score images or guesses, each row by itself.

        Args:
            images: `[n, C, H, W]`, in about [-1, 1].
            conditions: of each row.

        Returns:
            Rewards `[n]`, or `[n, members]` of a relative verifier.
        """
        ...


class Relative(Verifier, Protocol):
    """A verifier whose rewards only rank candidates against each other.

    Attributes:
        members: names of its columns.
    """

    members: Sequence[str]


def members_of(verifier: Verifier) -> tuple[str, ...]:
    """Return the names of the columns of a verifier's rewards; empty if a reward is one number."""
    return () if verifier.absolute else tuple(cast(Relative, verifier).members)
