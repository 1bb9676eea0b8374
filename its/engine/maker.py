"""From recipes to rows: starting noise, moves, renoising and jitter, and the noise of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from its.engine.noise import Noise
from its.engine.pool import Pool
from its.engine.state import State
from its.levels import Columns, forward_std
from its.model.denoiser import Denoiser
from its.particles.image import Image
from its.particles.keys import Verb, fold
from its.particles.recipes import Given, Jittered, Moved, Raised, Renoised, Start


class Maker:
    """Carries out the recipes of particles that have no row yet."""

    def __init__(self, seed: int, model: Denoiser, pool: Pool, noise: Noise) -> None:
        self._seed = seed
        self._model = model
        self._pool = pool
        self._noise = noise

    def make(self, states: Sequence[State]) -> None:
        """Give every state a row; parents that have none come first."""
        missing = {id(state): state for state in states if state.x is None}
        if not missing:
            return
        self.make([self.parent(state) for state in missing.values() if not isinstance(state.recipe, Start)])
        groups: dict[Any, list[State]] = {}
        for state in missing.values():
            if state.x is None:
                recipe = state.recipe
                groups.setdefault(recipe.move if isinstance(recipe, Moved) else type(recipe), []).append(state)
        draws = self._draws(groups)
        for kind, group in groups.items():
            for state, slot in zip(group, self._pool.put(self._rows(kind, group, draws.get(kind))), strict=True):
                state.x = slot
                state.recipe = None

    def noise(self, images: Sequence[Image], paths: Sequence[int]) -> Tensor:
        """Standard normal rows of the state's dtype."""
        problems = [image.problem.index for image in images]
        return self._noise(self._seed, problems, paths, self._model.shape, self._model.device).to(self._model.dtype)

    def step_noise(self, items: Sequence[Any], slot: int, slots: int) -> Tensor:
        """Draws of steps: one for each state or walk, of `slots` that a step may take each time it is taken."""
        steps = np.array([item.step for item in items], dtype=np.uint64)
        keys = np.array([item.level.key for item in items], dtype=np.uint64)
        numbers = np.array([item.round * slots + slot for item in items], dtype=np.uint64)
        return self.noise([item.task.image for item in items], fold(steps, int(Verb.STEP), keys, numbers))

    def given(self, states: Sequence[State]) -> Tensor:
        """Standard normal rows of states that a search made with `image.noise`."""
        self.make(states)
        return self._pool.take([state.x for state in states]) / self._model.path.prior_std

    @staticmethod
    def parent(state: State) -> State:
        recipe: Any = state.recipe
        return recipe.parent.state

    def _draws(self, groups: Mapping[Any, Sequence[State]]) -> dict[Any, Tensor]:
        """Standard normal rows for each group whose recipe uses them, made in one call."""
        drawing: dict[Any, list[Any]] = {kind: [state.recipe for state in group] for kind, group in groups.items()}
        drawing = {kind: recipes for kind, recipes in drawing.items() if recipes[0].draws}
        if not drawing:
            return {}
        images = [state.task.image for kind in drawing for state in groups[kind]]
        rows = self.noise(images, [recipe.path for recipes in drawing.values() for recipe in recipes])
        return dict(zip(drawing, rows.split([len(recipes) for recipes in drawing.values()]), strict=True))

    def _rows(self, kind: Any, group: Sequence[State], z: Any) -> Tensor:
        recipes: list[Any] = [state.recipe for state in group]
        if kind is Raised:
            return self._pool.take([self.parent(state).x for state in group])
        if kind is Given:
            return torch.from_numpy(np.stack([recipe.x for recipe in recipes])).to(self._model.device)
        prior = self._model.path.prior_std
        if kind is Start:
            return prior * z
        parents = [self.parent(state) for state in group]
        x = self._pool.take([parent.x for parent in parents])
        levels = Columns.of([state.level for state in group], x.ndim, x.device)
        if kind is Renoised:
            std = [forward_std(parent.level, state.level) for parent, state in zip(parents, group, strict=True)]
            below = Columns.of([parent.level for parent in parents], x.ndim, x.device)
            return (levels.alpha / below.alpha).to(x) * x + x.new_tensor(std).reshape(levels.alpha.shape) * z
        if kind is Jittered:
            return x + x.new_tensor([recipe.std for recipe in recipes]).reshape(levels.alpha.shape) * z
        return prior * kind(x / prior, z)
