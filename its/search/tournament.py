"""States that particles pass on the way to an image, pooled by step with its reward, and tournaments among them.

Deviation from EvoSearch: elites stay in the pool with the reward they have, and states are kept before the step that
they are mutated at.
"""

from __future__ import annotations

from math import ceil

from its.particles.image import Image
from its.particles.order import Rewarded
from its.particles.particle import Particle
from its.particles.verbs import advance, reward
from its.search.search import Coroutine

Pool = list[tuple[Rewarded, Particle]]


def sampled(image: Image, particles: list[Particle], pools: dict[int, Pool]) -> Coroutine:
    """Denoise and score; enter the states at the steps of `pools` with the reward of where each ends."""
    passed = {}
    for stop in pools:
        particles = passed[stop] = yield advance(particles, to=image.grid[stop])
    rewards = yield reward((yield advance(particles)))
    for stop, states in passed.items():
        pools[stop] += zip(rewards, states, strict=True)


def winners(pool: Pool, subset: float, n: int, image: Image) -> list[Particle]:
    """The best of each of `n` random subsets of the pool, every one the given share of it (above 0 to 1)."""
    found = []
    for _ in range(n):
        entrants = [pool[k] for k in image.random.permutation(len(pool))[: ceil(subset * len(pool))]]
        [(_, particle)] = image.best(entrants, [rewarded for rewarded, _ in entrants], 1)
        found.append(particle)
    return found
