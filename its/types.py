"""The nouns that every part shares, and the two verbs at which a search waits.

Nothing here touches a tensor: this module is imported by configuration checks that must stay fast.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from struct import pack, unpack
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, Self, cast

if TYPE_CHECKING:
    from its.image import Image, Particle

Condition = int | str | None
Of = Literal["own", "before"]
By = Literal["select", "guide"]

ROWS_PER_PARTICLE = 11
"""Tensor rows that a particle may hold: its state, x0_hat, eps_hat and the guess before it, and those of its next step
of two stages."""


@dataclass(frozen=True)
class Problem:
    """One image to make.

    Attributes:
        index: position in the run, from 0; with the run's seed it keys every draw.
        condition: class id, prompt, or None.
    """

    index: int
    condition: Condition = None


@dataclass(frozen=True, slots=True)
class Level:
    """A noise level as a value: `x_t = alpha x_0 + sigma eps`.

    Attributes:
        alpha: signal coefficient, in [0, 1].
        sigma: noise standard deviation, >= 0; 0 is clean.
        time: the network's own clock at this level (its native time input).
        scale: factor on `x_t` before it enters the network.
        norm: `x_t / norm` moves on a straight line while x0_hat and eps_hat stay (alpha on VP and
            EDM paths, 1 on linear flow); second-order samplers average slopes there.
        key: the 64 bits of the native time: what a draw at this level is keyed by.
        packed: the five values as doubles.
    """

    alpha: float
    sigma: float
    time: float
    scale: float = 1.0
    norm: float = 1.0
    key: int = field(init=False, repr=False, compare=False)
    packed: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", pack("<5d", self.alpha, self.sigma, self.time, self.scale, self.norm))
        object.__setattr__(self, "key", int(unpack("<Q", pack("<d", self.time))[0]))

    def __hash__(self) -> int:
        return self.key

    @property
    def clean(self) -> bool:
        return self.sigma == 0.0


Grid = tuple[Level, ...]
"""Levels of one sampling, noisiest first; the last is clean."""


class Advance(NamedTuple):
    """Request to run the sampler; see `advance`."""

    particles: list[Particle]
    to: list[Level | None]
    steps: int | None
    noise: list[Particle] | None = None


class Reward(NamedTuple):
    """Request to score particles; see `reward`."""

    particles: list[Particle]
    of: Of
    by: By


def advance(
    particles: Sequence[Particle],
    to: Level | Sequence[Level | None] | None = None,
    steps: int | None = None,
    noise: Sequence[Particle] | None = None,
) -> Advance:
    """Ask for `particles` to be denoised down to level `to`; the reply is a list of new particles.

    Args:
        particles: may stand at different levels; repeating one branches it.
        to: a level, or one for each particle; None is clean.
        steps: None walks the sampler's grid; a number takes that many steps by the grid's rule.
        noise: from `image.noise`, one for each particle: what its first step draws instead of its own.

    An anytime search near its cap gets a shorter list: the longest prefix that it can pay.
    """
    particles = list(particles)
    levels = [to] * len(particles) if to is None or isinstance(to, Level) else list(to)
    if len(levels) != len(particles):
        raise ValueError(f"advance got {len(particles)} particles and {len(levels)} levels; give one each")
    if noise is not None and len(noise) != len(particles):
        raise ValueError(f"advance got {len(particles)} particles and {len(noise)} noises; give one each")
    return Advance(particles, levels, steps, None if noise is None else list(noise))


def reward(particles: Sequence[Particle], of: Of = "own", by: By = "select") -> Reward:
    """Ask for rewards, higher is better; the reply is a list of floats in the same order.

    Under a relative verifier they are not floats but what `image.order` alone compares.

    Args:
        particles: the particles to score.
        of: `own` scores the image, or x0_hat at the particle's level (one evaluation unless it is
            known); `before` scores the x0_hat that its last step started from (never an evaluation).
        by: the role of the verifier that scores.
    """
    if of not in ("own", "before"):
        raise ValueError(f"reward of={of!r}; it is 'own' or 'before'")
    return Reward(list(particles), of, by)


Coroutine = Generator[Advance | Reward, Any, Any]
"""What `Search.run` returns; its value is a particle, or None."""


Size = Any
"""A whole number, or None until a cap, or `budget=natural`, decides it."""


class Search(Protocol):
    """A search method: a frozen dataclass of hyper-parameters whose `run` makes one image.

    Whoever inherits from it states only what differs from below.

    Attributes:
        anytime: True if stopping it early leaves a valid result, so that one run serves all caps;
            False if it plans for one cap.
        needs_absolute: whether it needs rewards that mean the same in any company; if not, it compares them through
            `image.order` alone. One that does not say is taken to need them.
        natural: the sizes it runs at under `budget=natural`; under a cap they must stay null.
    """

    anytime: ClassVar[bool] = False
    needs_absolute: ClassVar[bool] = True
    natural: ClassVar[dict[str, int]] = {}

    @property
    def needs_noise(self) -> bool:
        """Whether copies of a particle must separate at the next step (eta > 0)."""
        return False

    @property
    def peak_rows(self) -> int:
        """Tensor rows that one image may hold at once: by default those of as many particles as its size says."""
        return ROWS_PER_PARTICLE * max((getattr(self, size) or 1 for size in self.natural), default=1)

    def minimum(self, sampling: int) -> int:
        """The least cap, in NFE, at which it makes an image; `sampling` is the NFE of a plain one."""
        return sampling

    def plan(self, nfe: int, image: Image) -> Self:
        """The search sized for a cap of `nfe`, from the prices of `image`: by default its one size is the number of
        samplings that the cap pays for. Only planned searches are asked."""
        return replace(cast(Any, self), **dict.fromkeys(self.natural, nfe // image.cost()))

    def run(self, image: Image) -> Coroutine:
        """Make one image; return its particle, or None for the best one rewarded."""
        ...
