"""The contract of verifiers: they score images during a search, and never measure the result.

Modules of this room import torch only when a verifier is called: a plan, which loads no torch, reads their classes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
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
        reads: what it scores an image by, where it says so: `str`, a prompt, or `int`, a class.
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


class WithProbe(Protocol):
    """A verifier that compares images with earlier guesses of them; in all else it is a `Verifier`.

    Attributes:
        probe: share of noise `sigma / (alpha + sigma)` of these guesses, in (0, 1): they are x0_hat at the level of the
            sampler's grid that is nearest to it. None if there is nothing to compare with.
    """

    probe: float | None

    @abstractmethod
    def reward(self, images: Tensor, conditions: Sequence[Condition], guesses: Tensor) -> Tensor:
        """Score images by their guesses, both `[n, C, H, W]`, each row by itself; see `Verifier.reward`."""
        ...


class Paid(Protocol):
    """A verifier that asks a judge elsewhere, who is paid; in all else it is a `Verifier`."""

    @abstractmethod
    def judge_costs(self, images: Tensor, conditions: Sequence[Condition]) -> Sequence[Mapping[str, int]]:
        """Return what the rewards of images that have been scored cost, each by column of `its.budget.OF_JUDGES`.

        A reward that was read from disk costs what it cost when it was asked for.
        """
        ...


class WithConditions(Protocol):
    """A verifier that cannot score whatever is asked for, such as by a list of questions; in all else a `Verifier`."""

    @abstractmethod
    def check_conditions(self, conditions: Sequence[Condition]) -> None:
        """Refuse conditions that it cannot score; those of every problem come before anything is sampled.

        Raises:
            ValueError: naming the first.
        """
        ...


def is_absolute(verifier: object) -> bool:
    """Return whether a verifier, known by its object or class, is absolute; one that does not say is."""
    return bool(getattr(verifier, "absolute", True))


def is_oracle(verifier: object) -> bool:
    """Return whether a verifier, known by its object or class, asks what measures: an upper bound, if it says so."""
    return bool(getattr(verifier, "oracle", False))


def members_of(verifier: Verifier) -> tuple[str, ...]:
    """Return the names of the columns of a verifier's rewards; empty if a reward is one number."""
    return () if is_absolute(verifier) else tuple(cast(Relative, verifier).members)


def probe_of(verifier: object) -> float | None:
    """Return the probe of a verifier, known by its object or class; None if it scores images by themselves."""
    return getattr(verifier, "probe", None)


def guesses_like(images: Tensor, verifier: object) -> tuple[Tensor, ...]:
    """Return guesses to try a verifier with beside `images`, where it compares them: copies; else nothing."""
    return () if probe_of(verifier) is None else (images.clone(),)


def common_probe(probes: Mapping[str, float | None]) -> float | None:
    """Return the probe that some verifiers have, given those of all by name; None if none has one.

    Raises:
        ValueError: two have different ones.
    """
    stated = {name: probe for name, probe in probes.items() if probe is not None}
    if len(set(stated.values())) > 1:
        levels = ", ".join(f"{name} at {probe:g}" for name, probe in stated.items())
        raise ValueError(
            f"verifiers compare images with guesses at different shares of noise ({levels}), and a row keeps one; "
            "give all the same probe"
        )
    return next(iter(stated.values()), None)


def require_verifier(verifier: object) -> None:
    """Refuse what cannot score images.

    Raises:
        ValueError: naming the class, its line, and what is missing.
    """
    kind, absolute, probe = type(verifier), getattr(verifier, "absolute", True), probe_of(verifier)
    if not callable(getattr(verifier, "reward", None)):
        missing = "has no method reward(images, conditions), which its.Verifier states"
    elif not isinstance(absolute, bool):
        missing = f"says absolute = {absolute!r}; it is True, as where it is left out, or False"
    elif not absolute and not getattr(verifier, "members", None):
        missing = "says absolute = False and has no members, the names of the columns of its rewards"
    elif not (probe is None or (isinstance(probe, float) and 0 < probe < 1)):
        missing = f"says probe = {probe!r}; it is a share of noise above 0 and below 1, or None"
    else:
        return
    raise ValueError(f"{place_of(kind)}: verifier {kind.__name__} {missing}")


def rewards_of(verifier: Verifier, images: Tensor, conditions: Sequence[Condition], *more: Any) -> Tensor:
    """Ask a verifier for the rewards of images, of images and their guesses, or of rows and their levels.

    See `checked`.
    """
    reward: Any = verifier.reward
    return checked(verifier, reward(images, conditions, *more), len(images))


def require_conditions(verifier: object, conditions: Sequence[Condition]) -> None:
    """Refuse conditions that a verifier says it cannot score, see `WithConditions`."""
    check = getattr(verifier, "check_conditions", None)
    if check is not None:
        check(conditions)


def judge_costs_of(verifier: object, images: Tensor, conditions: Sequence[Condition]) -> Sequence[Mapping[str, int]]:
    """Return what judges elsewhere were paid for the rewards of images, see `Paid`; nothing where there is none."""
    costs = getattr(verifier, "judge_costs", None)
    return [{} for _ in conditions] if costs is None else costs(images, conditions)


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
