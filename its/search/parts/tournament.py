"""Tournaments among the states that particles pass on the way to an image, pooled by step with its reward.

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
    """Denoise and score particles; pool the states that they pass at the steps of `pools`, with the final reward."""
    passed = {}
    for stop in pools:
        particles = passed[stop] = yield advance(particles, to=image.grid[stop])
    rewards = yield reward((yield advance(particles)))
    for stop, states in passed.items():
        pools[stop] += zip(rewards, states, strict=True)


def winners(pool: Pool, subset: float, n: int, image: Image) -> list[Particle]:
    """Return the best of each of `n` random subsets, which hold the share `subset` (above 0 to 1) of the pool."""
    best = []
    for _ in range(n):
        entrants = [pool[k] for k in image.random.permutation(len(pool))[: ceil(subset * len(pool))]]
        [(_, particle)] = image.best(entrants, [rewarded for rewarded, _ in entrants], 1)
        best.append(particle)
    return best
