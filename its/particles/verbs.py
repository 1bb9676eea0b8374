"""The two verbs at which a search waits: `yield advance(...)` and `yield reward(...)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from its.levels import Level

if TYPE_CHECKING:
    from its.particles.particle import Particle

Of = Literal["own", "before"]
By = Literal["select", "guide"]


class Advance(NamedTuple):
    """A request to run the sampler; see `advance`."""

    particles: list[Particle]
    to: list[Level | None]
    steps: int | None
    noise: list[Particle] | None = None


class Reward(NamedTuple):
    """A request to score particles; see `reward`."""

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
    # One level, and one noise where any is given, for each particle.
    particles = list(particles)
    levels = [to] * len(particles) if to is None or isinstance(to, Level) else list(to)
    if len(levels) != len(particles):
        raise ValueError(f"advance got {len(particles)} particles and {len(levels)} levels; give one each")
    if noise is not None and len(noise) != len(particles):
        raise ValueError(f"advance got {len(particles)} particles and {len(noise)} noises; give one each")
    return Advance(particles, levels, steps, None if noise is None else list(noise))


def reward(particles: Sequence[Particle], of: Of = "own", by: By = "select") -> Reward:
    """Ask for rewards, higher is better; the reply is a list of floats in the same order.

    Under a relative verifier they are tuples, which only `image.order` compares.

    Args:
        particles: the particles to score.
        of: `own` scores the image, or x0_hat at the particle's level (one evaluation unless it is
            known); `before` scores the x0_hat that its last step started from (never an evaluation).
        by: the role of the verifier that scores.
    """
    if of not in ("own", "before"):
        raise ValueError(f"reward of={of!r}; it is 'own' or 'before'")
    return Reward(list(particles), of, by)
