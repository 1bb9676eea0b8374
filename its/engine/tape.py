"""Noise on tape: the draws of a run, each with what it is for, recorded from it or handed to it. See docs/replay.md."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from its.budget import OutOfBudget
from its.engine.noise import normal
from its.particles.host_random import HostRandom
from its.particles.image import Image, Particle
from its.particles.keys import Verb, fold
from its.particles.recipes import Jittered, Moved, Raised, Renoised
from its.particles.verbs import Advance, Reward
from its.search.search import Coroutine, Search

if TYPE_CHECKING:
    from its.engine import Engine

Draws = dict[str, Tensor]
"""Of one image, in order, named by their place and what they are for: `000007 step 961`."""


class Tape:
    """The draws of one run: recorded from it, or, where some are given, all that it draws.

    Args:
        given: by problem index.
    """

    def __init__(self, given: Mapping[int, Draws] | None = None) -> None:
        self._given = given
        self._asked: dict[int, dict[int, str]] = {}
        self._names: dict[tuple[int, int], str] = {}
        self._values: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """A tape that plays a file that `save` wrote, or another program in its place."""
        given: dict[int, Draws] = defaultdict(dict)
        for name, values in load_file(path).items():
            problem, draw = name.split("/")
            given[int(problem)][draw] = values
        return cls(given)

    def save(self, path: Path | str) -> None:
        """Write the draws of the run so far to a new file, safetensors named `<problem>/<place> <what it is for>`."""
        with open(path, "xb"):
            save_file(
                {
                    f"{problem}/{name}": values.contiguous()
                    for problem, draws in self.draws.items()
                    for name, values in draws.items()
                },
                path,
            )

    @property
    def draws(self) -> dict[int, Draws]:
        """By problem index, what the run has drawn so far."""
        return {
            problem: {
                f"{place:06d} {what}": self._values[problem, path] for place, (path, what) in enumerate(asked.items())
            }
            for problem, asked in self._asked.items()
        }

    def on(self, search: Search, engine: Engine) -> Search:
        """The search with its draws on this tape. `engine` is one built with `noise=tape.noise`."""
        return cast(Search, _Taped(search, self, engine))

    def noise(
        self,
        seed: int,
        problems: Sequence[int],
        paths: Sequence[int],
        shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Stands in for `its.engine.noise.normal` in an engine."""
        keys = list(zip(problems, paths, strict=True))
        if self._given is None:
            self._values.update(zip(keys, normal(seed, problems, paths, shape, device).cpu(), strict=True))
        return torch.stack([self.value(*key).expand(shape) for key in keys]).to(device)

    def open(self, problem: int) -> None:
        """Begin an image."""
        if problem in self._asked:
            raise ValueError(
                f"image {problem} is on this tape already, and a tape holds one run at one cap; take another tape"
            )
        self._asked[problem] = {}

    def ask(self, problem: int, path: int, what: str | None, value: np.ndarray | None = None) -> None:
        """Register the next draw of an image.

        Args:
            what: what it is for; None if nothing depends on it: then it is on no tape.
            value: the draw, where the run does not get it by `noise`; a given one takes its place.
        """
        asked = self._asked[problem]
        if self._given is None and value is not None:
            self._values[problem, path] = torch.from_numpy(value)
        elif self._given is not None and path not in asked:
            self._values.pop((problem, path), None)
            self._names[problem, path] = name = f"{len(asked):06d} {what}"
            given = self._given.get(problem, {})
            if what is None or name in given:
                self._values[problem, path] = torch.zeros(()) if what is None else given[name]
        if what is not None:
            asked.setdefault(path, what)

    def value(self, problem: int, path: int) -> Tensor:
        """A draw that is known.

        Raises:
            ValueError: the tape has another there, or none.
        """
        if (problem, path) not in self._values:
            name = self._names[problem, path]
            there = next((other for other in (self._given or {}).get(problem, {}) if other[:7] == name[:7]), "nothing")
            raise ValueError(f"image {problem} asks the tape for {name!r}, and it has {there!r} there")
        return self._values[problem, path]

    def asked(self, problem: int) -> int:
        """How many draws an image has asked for."""
        return len(self._asked[problem])

    def forget(self, problem: int, place: int) -> None:
        """Take back what an image has asked for from a place on: it could not pay for the steps."""
        while len(self._asked[problem]) > place:
            self._asked[problem].popitem()


class _TapedRandom(HostRandom):
    """An image's own random numbers, on tape; `choice` is drawn by `uniform`."""

    def __init__(self, tape: Tape, problem: int, inner: HostRandom) -> None:
        self._tape = tape
        self._problem = problem
        self._inner = inner
        self._calls = 0

    def _draw(self, what: str, value: np.ndarray) -> np.ndarray:
        self._calls += 1
        self._tape.ask(self._problem, -self._calls, what, value)
        return self._tape.value(self._problem, -self._calls).numpy()

    def uniform(self, n: int) -> np.ndarray:
        return self._draw("uniform", self._inner.uniform(n))

    def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        return self._draw("normal", self._inner.normal(shape))

    def permutation(self, n: int) -> list[int]:
        return self._draw("permutation", np.array(self._inner.permutation(n), dtype=np.int64)).tolist()


@dataclass(frozen=True)
class _Taped:
    """Runs `search`, and reads from each of its requests which draws the engine will need for it."""

    search: Search
    tape: Tape
    engine: Engine

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
            places = [self.tape.asked(problem)]
            for draws in self._draws(request):
                for path, what in draws:
                    self.tape.ask(problem, path, what)
                places.append(self.tape.asked(problem))
            try:
                reply = yield request
                resume = coroutine.send
                self.tape.forget(problem, places[len(reply)])
            except OutOfBudget as spent:
                self.tape.forget(problem, places[0])
                resume, reply = coroutine.throw, spent

    def _draws(self, request: Advance | Reward) -> Iterator[list[tuple[int, str | None]]]:
        """Paths and purposes of the draws for each particle: its own, if it is only a recipe yet, and its steps'."""
        children: Counter[int] = Counter()
        for position, particle in enumerate(request.particles):
            draws: list[tuple[int, str | None]] = [*_of_recipe(particle, "start")]
            if isinstance(request, Advance):
                route, _ = self.engine.prices.route(
                    particle.level, request.to[position], request.steps, particle.is_start
                )
                given = request.noise[position] if request.noise else None
                draws += _of_recipe(given, "noise") if given else []
                source = particle.raised(route[0]) if particle.is_start else particle
                path, _ = source.branch(source.made(Verb.ADVANCE) + children[id(particle)])
                children[id(particle)] += len(route) > 1
                for k, (t, s) in enumerate(pairwise(route)):
                    draws_here = self.engine.sampler.noisy(t, s) and not (given and k == 0)
                    draws.append((fold(path, Verb.STEP, t.key, 0), f"step {t.time:g}" if draws_here else None))
            yield draws


def _of_recipe(particle: Particle, start: str) -> Iterator[tuple[int, str]]:
    """Paths and purposes of the draws that make a particle, its parents' first."""
    recipe = particle.recipe
    if recipe is None:
        return
    if isinstance(recipe, Raised | Moved):
        yield from _of_recipe(recipe.parent, start)
    if isinstance(recipe, Raised) or not recipe.draws:
        return
    if isinstance(recipe, Renoised | Jittered):
        verb = "renoise" if isinstance(recipe, Renoised) else "jitter"
        yield recipe.path, f"{verb} {particle.level.time:g}"
    else:
        yield recipe.path, "move" if isinstance(recipe, Moved) else start
