"""The two verbs at which a search waits: `yield advance(...)` and `yield reward(...)`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import ClassVar, Literal, NoReturn, get_args

from its.levels import Level
from its.particles.arguments import check_count, described, levels_of, particles_of
from its.particles.particle import Particle

Of = Literal["own", "before"]
By = Literal["select", "guide"]
OFS, BYS = get_args(Of), get_args(By)


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

    __slots__ = ("by", "gradient", "of")
    verb = "reward"

    def __init__(self, particles: list[Particle], of: Of, by: By, gradient: bool, caller: FrameType) -> None:
        super().__init__(particles, caller)
        self.of = of
        self.by = by
        self.gradient = gradient


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


def reward(particles: Sequence[Particle], of: Of = "own", by: By = "select", gradient: bool = False) -> Reward:
    """Ask for rewards, higher is better; the reply is a list of floats in the same order.

    Under a relative verifier they are tuples, which only `image.order` compares.

    Args:
        particles: the particles to score.
        of: `own` scores the image, or x0_hat at the particle's level (one evaluation unless it is
            known); `before` scores the x0_hat that its last step started from (never an evaluation).
        by: the role of the verifier that scores.
        gradient: take the score of x0_hat by `guide` from the evaluation, forward and backward, that the particle's
            next step needs: it is done now, the step pays nothing more, and no verifier is called besides. Of searches
            that twist their steps (`Search.guidance`).

    Raises:
        TypeError, ValueError: an argument is something else.
    """
    particles = particles_of("reward", particles)
    if of not in OFS:
        raise ValueError(f"reward got of={described(of)}; it is 'own' or 'before'")
    if by not in BYS:
        raise ValueError(f"reward got by={described(by)}; it is 'select' or 'guide'")
    if gradient and (of, by) != ("own", "guide"):
        raise ValueError(
            f"reward got gradient=True, of={of!r} and by={by!r}; a gradient is the guide's, at the particle's own "
            "guess: write by='guide'"
        )
    return Reward(particles, of, by, gradient, sys._getframe(1))
