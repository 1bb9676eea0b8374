"""Immutable handles on the states of one image, and the recipes by which the engine makes their tensors.

A particle made by a free verb holds a recipe, and a recipe holds the particle it starts from.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from its.levels import Level
from its.particles.keys import Verb, fold
from its.particles.moves import Move


@dataclass(slots=True, eq=False)
class Start:
    """The recipe of a starting noise: the standard normal draw at `key`."""

    key: int
    uses_noise: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class FixedStart(Start):
    """The recipe of a starting point that another run has left, `x [*shape]`."""

    x: np.ndarray
    uses_noise: ClassVar[bool] = False


@dataclass(slots=True, eq=False)
class Moved:
    """The recipe of a move: `move` applied to the starting noise of `parent` with the draw at `key`."""

    parent: Particle
    move: Move
    key: int

    @property
    def uses_noise(self) -> bool:
        """Return whether the move takes a draw."""
        return self.move.uses_noise


@dataclass(slots=True, eq=False)
class Renoised:
    """The recipe of a renoising: `parent` taken up to a noisier level by the exact forward kernel."""

    parent: Particle
    key: int
    uses_noise: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class Jittered:
    """The recipe of a jitter: `parent` plus noise of standard deviation `std`, at its own level."""

    parent: Particle
    std: float
    key: int
    uses_noise: ClassVar[bool] = True


@dataclass(slots=True, eq=False)
class Placed:
    """The recipe of a placing: the numbers `x [*shape]` in place of those of `parent`, at its level."""

    parent: Particle
    x: np.ndarray
    uses_noise: ClassVar[bool] = False


@dataclass(slots=True, eq=False)
class Proposed:
    """The recipe of a proposal: the row of `parent`, with `x0 [*shape]` in place of the network's x0_hat.

    Attributes:
        x: in place of the row, `[*shape]`; None leaves it.
    """

    parent: Particle
    x0: np.ndarray
    x: np.ndarray | None = None
    uses_noise: ClassVar[bool] = False


@dataclass(slots=True, eq=False)
class Raised:
    """The recipe of a twin: the noise of the starting point `parent` at the top of another grid."""

    parent: Particle
    uses_noise: ClassVar[bool] = False


Recipe = Start | Moved | Renoised | Jittered | Placed | Proposed | Raised

STARTING_POINTS = (Start, Moved, Raised)
"""Recipes of noise alone, which stands at the top of whatever grid it is given."""


class Origin(NamedTuple):
    """A starting noise, or a move of another origin's; `its.particles.origin` writes it as text.

    It outlives the recipe, which the engine forgets once it has made the tensor.
    """

    key: int
    move: Move | None = None
    parent: Origin | None = None


class Family(Protocol):
    """The image that particles belong to, as far as a particle knows it.

    Attributes:
        stochastic: whether steps draw noise.
        twisted: whether a guidance moves that noise.
        dropped: requests about them that were made and not yielded: verb, code and line.
    """

    stochastic: bool
    twisted: bool
    dropped: list[tuple[str, CodeType, int]]


class Particle:
    """A handle on one state of one image. Copies are the same handle; advancing leaves it valid.

    Attributes:
        image: the `its.particles.image.Image` that it belongs to.
        level: the level it stands at.
        noise_key: key of the noise of its steps.
        branch_key: key of the noise of its moves, renoisings and jitters.
        recipe: how to make its tensor; None once the engine has taken it over, or made the particle itself.
        origin: the starting point that it came down from; None below a renoising, a jitter, a placing on the way or a
            proposal.
        is_start: whether it is a starting point: noise alone, at the top of whatever grid it is given.
        state: the engine's tensors of it.
        root: under a deterministic sampler, the starting point that it came straight down from: its number in the
            problem's sequence, or the particle of a moved one; else None.
    """

    __slots__ = (
        "_child_stems",
        "_notes",
        "_num_children",
        "_twins",
        "branch_key",
        "image",
        "is_start",
        "level",
        "noise_key",
        "origin",
        "recipe",
        "root",
        "state",
    )

    def __init__(
        self,
        image: Family,
        level: Level,
        noise_key: int,
        branch_key: int,
        recipe: Recipe | None = None,
        root: int | Particle | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.image = image
        self.level = level
        self.noise_key = noise_key
        self.branch_key = branch_key
        self.recipe = recipe
        self.origin = origin
        self.is_start = isinstance(recipe, STARTING_POINTS)
        self.state: Any = None
        self.root = root
        self._notes: dict[str, float] | None = None
        self._num_children: dict[Verb, int] = {}
        self._twins: dict[Level, Particle] = {}
        self._child_stems: tuple[int, int] | None = None

    @property
    def log_ratio(self) -> float:
        """Return the sum of log p - log q over the steps since its starting point, renoising or jitter.

        p is the density of the sampler's own step, q that of the step as it was taken, whose noise a guidance moved.
        It comes with the next `reward` of the particle's own image or guess.

        Raises:
            RuntimeError: no guidance of this run moves noise, or it has not come yet.
        """
        if not self.image.twisted:
            raise RuntimeError(
                "log_ratio was read, and no step of this run is twisted; a search whose `guidance` is a Twist, from "
                "its.guidance.twist, has such steps"
            )
        total = None if self.state is None else self.state.log_ratio
        if total is not None and total.pending:
            raise RuntimeError("log_ratio was read too soon; it comes with yield reward([particle])")
        return 0.0 if total is None else total.value

    @property
    def notes(self) -> dict[str, float]:
        """Return the numbers that its search has noted of it, by name; see `its.particles.image.Image.note`."""
        if self._notes is None:
            self._notes = {}
        return self._notes

    def num_children(self, verb: Verb) -> int:
        """Return how many children `verb` has made of this particle."""
        return self._num_children.get(verb, 0)

    def add_child(self, verb: Verb) -> int:
        """Count one more child and return its number, from 0."""
        number = self.num_children(verb)
        self._num_children[verb] = number + 1
        return number

    def raise_to(self, level: Level) -> Particle:
        """Return this starting point at the top of another grid: one twin for each level, which shares its children."""
        if level == self.level:
            return self
        if level not in self._twins:
            root = self if self.root is None and not self.image.stochastic else self.root
            twin = Particle(self.image, level, self.noise_key, self.branch_key, Raised(self), root, self.origin)
            twin._num_children = self._num_children
            self._twins[level] = twin
        return self._twins[level]

    def child_keys(self, number: int) -> tuple[int, int]:
        """Return both keys of a child by advancing: child 0 keeps this particle's, further ones branch."""
        if number == 0:
            return self.noise_key, self.branch_key
        if self._child_stems is None:
            self._child_stems = _fold_both(self.noise_key, self.branch_key, Verb.ADVANCE, self.level.key)
        return _fold_both(*self._child_stems, number)

    def child(self, level: Level, *, deterministic: bool = False) -> Particle:
        """Make one more particle that advancing leads to; one by steps without noise takes no other's keys."""
        root: int | Particle | None
        root = self if self.is_start and self.root is None and not self.image.stochastic else self.root
        if deterministic:
            number = self.add_child(Verb.DETERMINISTIC)
            keys = _fold_both(self.noise_key, self.branch_key, Verb.DETERMINISTIC, self.level.key, number)
        else:
            keys = self.child_keys(self.add_child(Verb.ADVANCE))
        return Particle(self.image, level, *keys, None, root, self.origin)


def _fold_both(noise_key: int, branch_key: int, *words: int) -> tuple[int, int]:
    """Fold the same words into both keys of a particle, which are mostly equal."""
    key = fold(noise_key, *words)
    return key, key if branch_key == noise_key else fold(branch_key, *words)
