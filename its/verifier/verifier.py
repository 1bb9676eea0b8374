"""The contract of verifiers: they score images during a search, and never measure the result.

Modules of this room import torch only when a verifier is called: a plan, which loads no torch, reads their classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from its.parameters import place_of
from its.types import Condition

if TYPE_CHECKING:
    from torch import Tensor


class Verifier(Protocol):
    """A scorer of images; higher is better.

    Attributes:
        absolute: whether a reward means the same in any company, as it does unless a verifier says otherwise; a rank
            ensemble's does not.
    """

    absolute: bool = True

    @abstractmethod
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


def is_absolute(verifier: object) -> bool:
    """Return whether a verifier, known by its object or class, is absolute; one that does not say is."""
    return bool(getattr(verifier, "absolute", True))


def is_oracle(verifier: object) -> bool:
    """Return whether a verifier, known by its object or class, asks what measures: an upper bound, if it says so."""
    return bool(getattr(verifier, "oracle", False))


def members_of(verifier: Verifier) -> tuple[str, ...]:
    """Return the names of the columns of a verifier's rewards; empty if a reward is one number."""
    return () if is_absolute(verifier) else tuple(cast(Relative, verifier).members)


def require_verifier(verifier: object) -> None:
    """Refuse what cannot score images.

    Raises:
        ValueError: naming the class, its line, and what is missing.
    """
    kind, absolute = type(verifier), getattr(verifier, "absolute", True)
    if not callable(getattr(verifier, "reward", None)):
        missing = "has no method reward(images, conditions), which its.Verifier states"
    elif not isinstance(absolute, bool):
        missing = f"says absolute = {absolute!r}; it is True, as where it is left out, or False"
    elif not absolute and not getattr(verifier, "members", None):
        missing = "says absolute = False and has no members, the names of the columns of its rewards"
    else:
        return
    raise ValueError(f"{place_of(kind)}: verifier {kind.__name__} {missing}")


def rewards_of(verifier: Verifier, images: Tensor, conditions: Sequence[Condition], *levels: Any) -> Tensor:
    """Ask a verifier for the rewards of images, or of rows at noise levels; see `checked`."""
    reward: Any = verifier.reward
    return checked(verifier, reward(images, conditions, *levels), len(images))


def checked(verifier: Verifier, rewards: Any, count: int) -> Tensor:
    """Return the rewards that a verifier gave to `count` images.

    Raises:
        ValueError: they are no tensor `[count]`, or `[count, members]` of a relative verifier, of numbers.
    """
    import torch

    members = members_of(verifier)
    expected = (count, len(members)) if members else (count,)
    numbers = (torch.float16, torch.float32, torch.float64, torch.int32, torch.int64, torch.bool)  # NumPy has them too
    if isinstance(rewards, torch.Tensor) and rewards.shape == expected and rewards.dtype in numbers:
        return rewards
    what = f"a {type(rewards).__name__}"
    if isinstance(rewards, torch.Tensor):
        what = f"rewards of shape {list(rewards.shape)} and {rewards.dtype}"
    raise ValueError(
        f"{place_of(type(verifier))}: verifier {type(verifier).__name__} returned {what} for {count} images; expected "
        f"is a tensor of shape {list(expected)} of torch.float32, one number for each image and in their order"
    )
