"""The verbs at which a search waits: `yield` of `advance(...)`, `reward(...)`, `numbers(...)` or `gradient(...)`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import ClassVar, Literal, NamedTuple, NoReturn, get_args

import numpy as np

from its.levels import Level
from its.particles.arguments import check_count, described, levels_of, particles_of
from its.particles.order import Rewarded
from its.particles.particle import Particle

Of = Literal["own", "before"]
By = Literal["select", "guide"]
Through = Literal["guess", "network", "sampler"]
OFS, BYS, THROUGHS = get_args(Of), get_args(By), get_args(Through)


class Request:
    """A question to the engine, which `yield` alone turns into its reply; any other use of it is refused.

    One that is dropped without having been yielded is noted at its image.

    Attributes:
        yielded: whether the engine has got it.
    """

    __slots__ = ("_code", "_line", "particles", "yielded")
    verb: ClassVar[str]

    def __init__(self, particles: list[Particle], caller: FrameType) -> None:
        self.particles = particles
        self.yielded = False
        self._code, self._line = caller.f_code, caller.f_lineno

    def __del__(self) -> None:
        if not self.yielded and self.particles:
            self.particles[0].image.dropped.append((self.verb, self._code, self._line))

    def __repr__(self) -> str:
        return f"{self.verb}(...)"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(
            f"{self.verb}(...) only asks, and is used here as if it were the reply; write yield {self.verb}(...), "
            "which waits for the reply"
        )

    __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = __float__ = __int__ = __index__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __neg__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __hash__ = object.__hash__


class Advance(Request):
    """A request to run the sampler; see `advance`."""

    __slots__ = ("noise", "steps", "to")
    verb = "advance"

    def __init__(
        self,
        particles: list[Particle],
        to: list[Level | None],
        steps: int | None,
        noise: list[Particle] | None,
        caller: FrameType,
    ) -> None:
        super().__init__(particles, caller)
        self.to = to
        self.steps = steps
        self.noise = noise


class Reward(Request):
    """A request to score particles; see `reward`."""

    __slots__ = ("by", "of")
    verb = "reward"

    def __init__(self, particles: list[Particle], of: Of, by: By, caller: FrameType) -> None:
        super().__init__(particles, caller)
        self.of = of
        self.by = by


class Numbers(NamedTuple):
    """A particle as numbers on the host; see `numbers`.

    Attributes:
        x: its row, float64 `[*shape]`.
        x0: x0_hat at its level, as verifiers see it and a plain step takes it; of a finished image the row.
    """

    x: np.ndarray
    x0: np.ndarray


class Slope(NamedTuple):
    """The guide's score at a particle and its gradient, on the host; see `gradient`.

    Attributes:
        x: row of the particle, float64 `[*shape]`.
        gradient: of the score, float64 `[*shape]`.
        score: minus infinity if the guide gave NaN.
        image: what the particle was sampled to, through `sampler`; else None.
    """

    x: np.ndarray
    gradient: np.ndarray
    score: float
    image: Particle | None


Reply = Particle | Rewarded | Numbers | Slope
"""One answer of a reply."""


class Gradient(Request):
    """A request for slopes; see `gradient`."""

    __slots__ = ("steps", "through")
    verb = "gradient"

    def __init__(self, particles: list[Particle], through: Through, steps: int | None, caller: FrameType) -> None:
        super().__init__(particles, caller)
        self.through = through
        self.steps = steps


class Look(Request):
    """A request to see particles as numbers; see `numbers`."""

    __slots__ = ()
    verb = "numbers"


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

    Raises:
        TypeError, ValueError: an argument is something else.
    """
    # Particles, a level for each, and steps.
    particles = particles_of("advance", particles)
    levels = levels_of("advance", to, len(particles))
    if steps is not None:
        check_count("advance", "steps", steps, 1)

    # One noise for each particle, where any is given.
    noises = None if noise is None else particles_of("advance(noise=)", noise)
    if noises is not None and not all(each.is_start for each in noises):
        raise ValueError(
            "advance got noise= that has been advanced; it takes what image.noise(n) makes, or moves of it"
        )
    if noises is not None and len(noises) != len(particles):
        raise ValueError(f"advance got {len(particles)} particles and {len(noises)} noises; give one each")
    return Advance(particles, levels, steps, noises, sys._getframe(1))


def reward(particles: Sequence[Particle], of: Of = "own", by: By = "select") -> Reward:
    """Ask for rewards, higher is better; the reply is a list of floats in the same order.

    Under a relative verifier they are tuples, which only `image.order` compares.

    Args:
        particles: the particles to score.
        of: `own` scores the image, or x0_hat at the particle's level (one evaluation unless it is
            known); `before` scores the x0_hat that its last step started from (never an evaluation).
        by: the role of the verifier that scores.

    Raises:
        TypeError, ValueError: an argument is something else.
    """
    particles = particles_of("reward", particles)
    if of not in OFS:
        raise ValueError(f"reward got of={described(of)}; it is 'own' or 'before'")
    if by not in BYS:
        raise ValueError(f"reward got by={described(by)}; it is 'select' or 'guide'")
    return Reward(particles, of, by, sys._getframe(1))


def numbers(particles: Sequence[Particle]) -> Look:
    """Ask to see particles as numbers on the host; the reply is a list of `Numbers` in the same order.

    A particle on its way takes one evaluation unless its guess is known.

    Raises:
        TypeError: it got something else.
    """
    return Look(particles_of("numbers", particles), sys._getframe(1))


def gradient(particles: Sequence[Particle], through: Through, steps: int | None = None) -> Gradient:
    """Ask for gradients of the guide's score; the reply is a list of `Slope` in the same order.

    Args:
        particles: on their way; through `sampler`, all at levels from which sampling goes down to clean.
        through: `guess` is the gradient with respect to x0_hat of the score of x0_hat; `network` that with respect to
            x_t; `sampler` that with respect to x_t of the score of the image which is sampled from there. The search
            states it as its `takes_gradients`.
        steps: of that sampling; None walks the sampler's grid.

    Raises:
        TypeError, ValueError: an argument is something else.
    """
    particles = particles_of("gradient", particles)
    if through not in THROUGHS:
        raise ValueError(f"gradient got through={described(through)}; it is 'guess', 'network' or 'sampler'")
    if any(particle.level.clean for particle in particles):
        raise ValueError("gradient got a finished image; it takes particles on their way")
    if steps is not None:
        check_count("gradient", "steps", steps, 1)
    if steps is not None and through != "sampler":
        raise ValueError(f"gradient got steps={steps} through={through!r}; steps are those of through='sampler'")
    return Gradient(particles, through, steps, sys._getframe(1))
