"""What a verifier is: it scores images during a search, and never measures the result.

No module here imports torch before a verifier is called, so that a plan can look at its class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class Verifier(Protocol):
    """Scores images; higher is better."""

    absolute: bool
    """Whether a reward means the same in any company; a rank ensemble's does not."""

    def reward(self, images: Tensor, conditions: Sequence[Condition]) -> Tensor:
        """Rewards of images or guesses `[n, C, H, W]` in about [-1, 1]: `[n]`, or `[n, members]` of a relative one.

        A row's depends on it alone.
        """
        ...


class Relative(Verifier, Protocol):
    """A verifier whose rewards mean something in company alone."""

    members: Sequence[str]
    """Names of what it tells apart, one for each column."""


def members_of(verifier: Verifier) -> tuple[str, ...]:
    """What the columns of its rewards are; empty if there is just one number."""
    return () if verifier.absolute else tuple(cast(Relative, verifier).members)
