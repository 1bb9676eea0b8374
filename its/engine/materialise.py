"""Rows of particles that are recipes yet (starting noise, moves, renoising, jitter), and the noise of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from its.engine.draws import draw_number
from its.engine.noise import Noise
from its.engine.rows import GuessRows, Rows, column
from its.engine.state import Rollout, State
from its.levels import Columns, forward_std
from its.model.denoiser import Denoiser
from its.particles.image import Image
from its.particles.keys import step_key
from its.particles.particle import FixedStart, Jittered, Moved, Placed, Proposed, Raised, Renoised, Start
from its.sampler.sampler import Sampler


class Materialiser:
    """Carries out the recipes of particles that have no row yet.

    Args:
        monte_carlo: draws that a guidance takes at each row.
    """

    def __init__(
        self, seed: int, model: Denoiser, sampler: Sampler, rows: Rows, noise: Noise, monte_carlo: int
    ) -> None:
        self._seed = seed
        self._model = model
        self._sampler = sampler
        self._rows = rows
        self._noise = noise
        self._monte_carlo = monte_carlo
        self._where = model.shape, model.device
        self._proposed: list[tuple[Proposed, State]] = []

    def make(self, states: Sequence[State]) -> None:
        """Give every state a row; parents that have none come first."""
        missing = {id(state): state for state in states if state.x is None}
        if not missing:
            return
        self.make([_parent(state) for state in missing.values() if not isinstance(state.recipe, Start)])

        # States of one kind are made together.
        groups: dict[Any, list[State]] = {}
        for state in missing.values():
            if state.x is None:
                recipe = state.recipe
                groups.setdefault(recipe.move if isinstance(recipe, Moved) else type(recipe), []).append(state)

        # Draw for all kinds in one call.
        noise = self._recipe_noise(groups)
        for kind, group in groups.items():
            rows = self._rows.put(self._carry_out(kind, group, noise.get(kind)))
            for state, row in zip(group, rows, strict=True):
                state.x = row
                state.recipe = None

    def propose(self, states: Sequence[State]) -> None:
        """Give every state that is a proposal its rows, which `fill_proposals` fills; parents come first.

        Raises:
            ValueError: the own guess of a state that is proposed for is not known.
        """
        rows = iter(self._rows.reserve(2 * len(states)))
        for state in states:
            parent = _parent(state)
            if parent.own is None:
                raise ValueError(
                    "used a proposal of a particle whose guess is not known; ask for it before: "
                    "[seen] = yield numbers([particle])"
                )
            recipe, state.recipe = cast(Proposed, state.recipe), None
            state.own = GuessRows(next(rows), next(rows), parent.own.share)
            state.guess.row = state.own.x0
            # A row of its own is one that no step has led to.
            state.x, state.history = parent.x, parent.history
            if recipe.x is not None:
                [state.x], state.history = self._rows.reserve(1), None
            self._proposed.append((recipe, state))

    @torch.inference_mode()
    def fill_proposals(self) -> None:
        """Fill the rows of proposals, of all searches together: own rows, guesses, and the eps_hat that goes with both.

        Nobody reads them before, for work begins once the searches wait.
        """
        proposed, self._proposed = self._proposed, []
        for first in range(0, len(proposed), at_once := self._rows.at_once):
            recipes, states = zip(*proposed[first : first + at_once], strict=True)
            placed = [
                (state.x, recipe.x) for recipe, state in zip(recipes, states, strict=True) if recipe.x is not None
            ]
            if placed:
                rows, values = zip(*placed, strict=True)
                self._rows.fill(rows, self._stacked(values))
            x0, x = self._stacked([recipe.x0 for recipe in recipes]), self._rows.take([state.x for state in states])
            t = Columns.of([state.level for state in states], x.ndim, x.device)
            self._rows.fill([state.own.x0 for state in states], x0)
            self._rows.fill([state.own.eps for state in states], (x - t.alpha.to(x) * x0) / t.sigma.to(x))

    def _stacked(self, values: Sequence[np.ndarray]) -> Tensor:
        """Return numbers of a search as rows `[n, *shape]` on the device."""
        return torch.from_numpy(np.stack(values)).to(self._model.device, self._model.dtype, non_blocking=True)

    def step_noise(self, items: Sequence[State | Rollout], kind: int) -> Tensor:
        """Return standard normal rows, one for each item: a kind of draw of the step which leaves its level."""
        noise_keys = np.array([item.noise_key for item in items], dtype=np.uint64)
        level_keys = np.array([item.level.key for item in items], dtype=np.uint64)
        numbers = [draw_number(kind, item.round, self._monte_carlo) for item in items]
        return self._normal(
            [item.run.image for item in items], step_key(noise_keys, level_keys, np.array(numbers, dtype=np.uint64))
        )

    def search_noise(self, states: Sequence[State]) -> Tensor:
        """Return standard normal rows of states that a search made with `image.noise`."""
        self.make(states)
        x = self._rows.take([state.x for state in states])
        return x / self._prior_std(states, x)

    def _prior_std(self, states: Sequence[State], x: Tensor) -> Tensor:
        """Return the standard deviation of x_T at the levels of states, a column for rows `x`."""
        stds = [self._sampler.prior_std(self._model.path, state.level) for state in states]
        return column(stds, x)

    def _normal(self, images: Sequence[Image], keys: Sequence[int]) -> Tensor:
        """Return standard normal rows of the state's dtype; drawing takes ten times their memory, so few at a time."""
        problems, parts = [image.problem.index for image in images], []
        for first in range(0, len(problems), at_once := self._rows.at_once):
            few = slice(first, first + at_once)
            parts.append(self._noise(self._seed, problems[few], keys[few], *self._where).to(self._model.dtype))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _recipe_noise(self, groups: Mapping[Any, Sequence[State]]) -> dict[Any, Tensor]:
        """Return standard normal rows for each group whose recipes use noise."""
        recipes: dict[Any, list[Any]] = {kind: [state.recipe for state in group] for kind, group in groups.items()}
        recipes = {kind: members for kind, members in recipes.items() if members[0].uses_noise}
        if not recipes:
            return {}
        images = [state.run.image for kind in recipes for state in groups[kind]]
        keys = [recipe.key for members in recipes.values() for recipe in members]
        parts = self._normal(images, keys).split([len(members) for members in recipes.values()])
        return dict(zip(recipes, parts, strict=True))

    def _carry_out(self, kind: Any, group: Sequence[State], z: Any) -> Tensor:
        """Return the rows of states whose recipes are of one kind: a class of recipes, or a move."""
        recipes: list[Any] = [state.recipe for state in group]

        # Numbers of the search's own.
        if kind is Placed:
            return torch.from_numpy(np.stack([recipe.x for recipe in recipes])).to(self._model.device)

        # Starting points.
        if kind is FixedStart:
            return torch.from_numpy(np.stack([recipe.x for recipe in recipes])).to(self._model.device)
        if kind is Start:
            return self._prior_std(group, z) * z

        # Particles that are made of others.
        parents = [_parent(state) for state in group]
        x = self._rows.take([parent.x for parent in parents])
        if kind is Raised:
            return x * (self._prior_std(group, x) / self._prior_std(parents, x))
        levels = Columns.of([state.level for state in group], x.ndim, x.device)
        if kind is Renoised:
            std = [forward_std(parent.level, state.level) for parent, state in zip(parents, group, strict=True)]
            below = Columns.of([parent.level for parent in parents], x.ndim, x.device)
            return (levels.alpha / below.alpha).to(x) * x + column(std, x) * z
        if kind is Jittered:
            return x + column([recipe.std for recipe in recipes], x) * z
        prior = self._prior_std(group, x)
        return prior * kind(x / prior, z)


def _parent(state: State) -> State:
    recipe: Any = state.recipe
    return recipe.parent.state
