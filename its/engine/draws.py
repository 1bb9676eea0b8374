"""The draws that the engine takes for a request: their keys, what each is for, and their order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from its.engine.state import Rollout, State
from its.guidance.guidance import Guidance
from its.levels import Level
from its.particles.keys import step_key
from its.particles.particle import Jittered, Moved, Placed, Raised, Renoised
from its.particles.prices import Prices

STEP, RECURRENCE, MONTE_CARLO = 0, 1, 2
"""Kinds of a step's draws: its own, the recurrence's, and the first of a guidance's Monte-Carlo draws."""


class Draw(NamedTuple):
    """A draw of standard normal noise of the state's shape, and what it is for."""

    key: int
    purpose: str


def draw_number(kind: int, round: int, monte_carlo: int) -> int:
    """Return the number of a kind of draw in a round of a step, by which its key differs from the step's others.

    Args:
        monte_carlo: draws that the guidance takes at each row.
    """
    return round * (MONTE_CARLO + monte_carlo) + kind


class Draws:
    """Foretells what a paid request draws, in the order of a program that makes one particle after the other."""

    def __init__(self, prices: Prices, guidance: Guidance) -> None:
        self._prices = prices
        self._needs = guidance.needs
        self._monte_carlo = guidance.num_draws

    def of_guess(self, state: State) -> Iterator[Draw]:
        """Yield the draws of a state that is evaluated: those that make it, and those of a gradient taken with it."""
        yield from _of_recipe(state, "start")
        if self._needs == "network":
            yield from self._of_guidance(state.noise_key, state.level, 0)

    def of_rollout(self, rollout: Rollout, state: State) -> Iterator[Draw]:
        """Yield the draws of a rollout from `state`: those that make it, then those of each round of each step."""
        yield from _of_recipe(state, "start")
        if rollout.noise is not None and self._prices.stochastic:
            yield from _of_recipe(rollout.noise, "noise")
        for at, (t, s) in enumerate(pairwise(rollout.route)):
            for round in range(self._prices.rounds):
                # The guidance of the first round is the state's, which all who start there share.
                first = at == round == 0
                yield from self._of_guidance(state.noise_key if first else rollout.noise_key, t, round)
                if self._prices.noisy(t, s) and not (first and rollout.noise is not None):
                    yield self._of_step(rollout.noise_key, t, STEP, round, "step")
                if round + 1 < self._prices.rounds:
                    yield self._of_step(rollout.noise_key, t, RECURRENCE, round, "recurrence")

    def _of_guidance(self, noise_key: int, level: Level, round: int) -> Iterator[Draw]:
        for k in range(0 if self._needs == "nothing" else self._monte_carlo):
            yield self._of_step(noise_key, level, MONTE_CARLO + k, round, "monte_carlo")

    def _of_step(self, noise_key: int, level: Level, kind: int, round: int, purpose: str) -> Draw:
        number = draw_number(kind, round, self._monte_carlo)
        return Draw(step_key(noise_key, level.key, number), f"{purpose} {level.time:g}")


def _of_recipe(state: State, start: str) -> Iterator[Draw]:
    """Yield the draws that make a state which is a recipe yet, its parents' first."""
    recipe: Any = state.recipe
    if isinstance(recipe, Moved | Raised | Renoised | Jittered | Placed):
        yield from _of_recipe(recipe.parent.state, start)
    if recipe is None or not recipe.uses_noise:
        return
    if isinstance(recipe, Renoised | Jittered):
        verb = "renoise" if isinstance(recipe, Renoised) else "jitter"
        yield Draw(recipe.key, f"{verb} {state.level.time:g}")
    else:
        yield Draw(recipe.key, "move" if isinstance(recipe, Moved) else start)
