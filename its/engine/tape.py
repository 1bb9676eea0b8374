"""Noise on tape: the draws of a run, each with what it is for, recorded from it or handed to it. See docs/replay.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from its.budget import OutOfBudget
from its.engine.noise import normal
from its.particles.host_random import HostRandom
from its.particles.image import Image
from its.particles.keys import Verb, step_key
from its.particles.particle import Jittered, Moved, Particle, Raised, Renoised
from its.particles.prices import Prices
from its.particles.verbs import Advance, Reward
from its.search.search import Coroutine, Search

Draws = dict[str, Tensor]
"""Of one image, in order, named by their place and what they are for: `000007 step 961`."""


class Tape:
    """The draws of one run: recorded from it, or, where some are given, all that it draws.

    Args:
        source: by problem index, the draws that a run is to have; None records the run's own.
    """

    def __init__(self, source: Mapping[int, Draws] | None = None) -> None:
        self._source = source
        self._purposes: dict[int, dict[int, str]] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._values: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Make a tape that plays a file that `save` wrote, or another program in its place."""
        source: dict[int, Draws] = defaultdict(dict)
        for name, values in load_file(path).items():
            problem, draw = name.split("/")
            source[int(problem)][draw] = values
        return cls(source)

    def save(self, path: Path | str) -> None:
        """Write the draws of the run so far to a new file, safetensors named `<problem>/<place> <what it is for>`."""
        tensors = {
            f"{problem}/{name}": values.contiguous()
            for problem, draws in self.draws.items()
            for name, values in draws.items()
        }
        with open(path, "xb"):
            save_file(tensors, path)

    @property
    def draws(self) -> dict[int, Draws]:
        """Return by problem index what the run has drawn so far."""
        draws: dict[int, Draws] = {}
        for problem, purposes in self._purposes.items():
            draws[problem] = {
                f"{place:06d} {purpose}": self._values[problem, key]
                for place, (key, purpose) in enumerate(purposes.items())
            }
        return draws

    def on(self, search: Search, prices: Prices) -> Search:
        """Return the search with its draws on this tape.

        Args:
            prices: of the engine that runs it, which is built with `noise=tape.noise`.
        """
        return cast(Search, _TapedSearch(search, self, prices))

    def noise(
        self,
        seed: int,
        problems: Sequence[int],
        keys: Sequence[int],
        shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Stand in for `its.engine.noise.normal` in an engine."""
        places = list(zip(problems, keys, strict=True))
        if self._source is None:
            self._values.update(zip(places, normal(seed, problems, keys, shape, device).cpu(), strict=True))
        return torch.stack([self.value(*place).expand(shape) for place in places]).to(device)

    def open(self, problem: int) -> None:
        """Begin an image.

        Raises:
            ValueError: it is on this tape already.
        """
        if problem in self._purposes:
            raise ValueError(
                f"image {problem} is on this tape already, and a tape holds one run at one cap; take another tape"
            )
        self._purposes[problem] = {}

    def register(self, problem: int, key: int, purpose: str | None, value: np.ndarray | None = None) -> None:
        """Register the next draw of an image.

        Args:
            purpose: what it is for; None if nothing depends on it: then it is on no tape.
            value: the draw, where the run does not get it by `noise`; the source's takes its place.
        """
        purposes = self._purposes[problem]
        if self._source is None and value is not None:
            self._values[problem, key] = torch.from_numpy(value)
        elif self._source is not None and key not in purposes:
            self._values.pop((problem, key), None)
            self._names[problem, key] = name = f"{len(purposes):06d} {purpose}"
            draws = self._source.get(problem, {})
            if purpose is None:
                self._values[problem, key] = torch.zeros(())
            elif name in draws:
                self._values[problem, key] = draws[name]
        if purpose is not None:
            purposes.setdefault(key, purpose)

    def value(self, problem: int, key: int) -> Tensor:
        """Return a registered draw.

        Raises:
            ValueError: the tape has another there, or none.
        """
        if (problem, key) not in self._values:
            name = self._names[problem, key]
            draws = (self._source or {}).get(problem, {})
            there = next((other for other in draws if other[:7] == name[:7]), "nothing")
            raise ValueError(f"image {problem} asks the tape for {name!r}, and it has {there!r} there")
        return self._values[problem, key]

    def num_draws(self, problem: int) -> int:
        """Return how many draws an image has registered."""
        return len(self._purposes[problem])

    def forget(self, problem: int, place: int) -> None:
        """Take back an image's draws from a place on: it could not pay for the steps."""
        while len(self._purposes[problem]) > place:
            self._purposes[problem].popitem()


class _TapedRandom(HostRandom):
    """An image's own random numbers, on tape; `choice` is drawn by `uniform`."""

    def __init__(self, tape: Tape, problem: int, random: HostRandom) -> None:
        self._tape = tape
        self._problem = problem
        self._random = random
        self._calls = 0

    def _draw(self, purpose: str, value: np.ndarray) -> np.ndarray:
        self._calls += 1
        self._tape.register(self._problem, -self._calls, purpose, value)
        return self._tape.value(self._problem, -self._calls).numpy()

    def uniform(self, n: int) -> np.ndarray:
        return self._draw("uniform", self._random.uniform(n))

    def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        return self._draw("normal", self._random.normal(shape))

    def permutation(self, n: int) -> list[int]:
        return self._draw("permutation", np.array(self._random.permutation(n), dtype=np.int64)).tolist()


@dataclass(frozen=True)
class _TapedSearch:
    """Runs `search`, and reads from each of its requests which draws the engine will need for it."""

    search: Search
    tape: Tape
    prices: Prices

    def __getattr__(self, name: str) -> Any:
        return getattr(self.search, name)

    def sized_for(self, nfe: int, image: Image) -> Self:
        return replace(self, search=self.search.sized_for(nfe, image))

    def run(self, image: Image) -> Coroutine:
        problem = image.problem.index
        self.tape.open(problem)
        image.random = _TapedRandom(self.tape, problem, image.random)
        coroutine = self.search.run(image)
        resume: Any = coroutine.send
        reply: Any = None
        while True:
            try:
                request = resume(reply)
            except StopIteration as stop:
                return stop.value

            # Register the draws of each particle.
            places = [self.tape.num_draws(problem)]
            for draws in self._draws(request):
                for key, purpose in draws:
                    self.tape.register(problem, key, purpose)
                places.append(self.tape.num_draws(problem))

            # Forget those of particles that are not paid for.
            try:
                reply = yield request
                resume = coroutine.send
                self.tape.forget(problem, places[len(reply)])
            except OutOfBudget as spent:
                self.tape.forget(problem, places[0])
                resume, reply = coroutine.throw, spent

    def _draws(self, request: Advance | Reward) -> Iterator[list[tuple[int, str | None]]]:
        """Yield for each particle key and purpose of its draws: its own, if it is only a recipe yet, and its steps'."""
        children: Counter[int] = Counter()
        for position, particle in enumerate(request.particles):
            draws: list[tuple[int, str | None]] = [*_recipe_draws(particle, "start")]
            if isinstance(request, Advance):
                route, _ = self.prices.route(particle.level, request.to[position], request.steps, particle.is_start)
                noise = request.noise[position] if request.noise else None
                draws += _recipe_draws(noise, "noise") if noise else []

                # The steps of the child that the engine will make.
                source = particle.raise_to(route[0]) if particle.is_start else particle
                number = source.num_children(Verb.ADVANCE) + children[id(particle)]
                noise_key, _ = source.child_keys(number)
                children[id(particle)] += len(route) > 1
                for k, (t, s) in enumerate(pairwise(route)):
                    draws_here = self.prices.noisy(t, s) and not (noise and k == 0)
                    draws.append((step_key(noise_key, t.key, 0), f"step {t.time:g}" if draws_here else None))
            yield draws


def _recipe_draws(particle: Particle, start: str) -> Iterator[tuple[int, str]]:
    """Yield key and purpose of the draws that make a particle, its parents' first."""
    recipe = particle.recipe
    if recipe is None:
        return
    if isinstance(recipe, Raised | Moved):
        yield from _recipe_draws(recipe.parent, start)
    if isinstance(recipe, Raised) or not recipe.uses_noise:
        return
    if isinstance(recipe, Renoised | Jittered):
        verb = "renoise" if isinstance(recipe, Renoised) else "jitter"
        yield recipe.key, f"{verb} {particle.level.time:g}"
    else:
        yield recipe.key, "move" if isinstance(recipe, Moved) else start
