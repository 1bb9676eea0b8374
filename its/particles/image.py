"""What a search holds: the image it makes, and immutable handles on the particles of that image.

No tensor here. A handle made by a free verb is a recipe; the engine makes its tensor when it is
first evaluated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from its.budget import Ledger
from its.levels import Level
from its.particles.host_random import HostRandom
from its.particles.keys import Verb, fold
from its.particles.order import Rewarded, order
from its.particles.prices import Prices
from its.particles.recipes import STARTING_POINTS, Given, Jittered, Moved, Origin, Raised, Recipe, Renoised, Start
from its.types import Problem

if TYPE_CHECKING:
    from its.particles.moves import Move

T = TypeVar("T")

_STARTS, _NOISES = fold(0, Verb.START), fold(0, Verb.NOISE)


class Particle:
    """A handle on one state of one image. Copies are the same handle; advancing leaves it valid.

    Attributes:
        level: the level it stands at.
        step: path of the noise of its steps.
        id: path of the noise of its moves, renoisings and jitters.
        recipe: how to make its tensor; None once the engine has taken it over, or made the particle itself.
        origin: the starting point that it came down from; None below a renoising or jitter.
        is_start: whether it is a starting point: noise alone, at the top of whatever grid it is given.
        state: the engine's tensors of it.
        root: under a deterministic sampler, the starting point that it came straight down from: its number in the
            problem's sequence, or the particle of a moved one; else None.
    """

    __slots__ = (
        "_children",
        "_raised",
        "_stems",
        "id",
        "image",
        "is_start",
        "level",
        "origin",
        "recipe",
        "root",
        "state",
        "step",
    )

    def __init__(
        self,
        image: Image,
        level: Level,
        step: int,
        id: int,
        recipe: Recipe | None = None,
        root: int | Particle | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.image = image
        self.level = level
        self.step = step
        self.id = id
        self.recipe = recipe
        self.origin = origin
        self.is_start = isinstance(recipe, STARTING_POINTS)
        self.state: Any = None
        self.root = root
        self._children: dict[Verb, int] = {}
        self._raised: dict[Level, Particle] = {}
        self._stems: tuple[int, int] | None = None

    def made(self, verb: Verb) -> int:
        """How many children `verb` has made of this particle."""
        return self._children.get(verb, 0)

    @property
    def key(self) -> tuple[int, int, Origin | None]:
        """What tells it from every other particle of its image: its two paths, and where it began."""
        return self.step, self.id, self.origin

    def ordinal(self, verb: Verb) -> int:
        """The number of one more child."""
        count = self.made(verb)
        self._children[verb] = count + 1
        return count

    def raised(self, level: Level) -> Particle:
        """This starting point at the top of another grid: one twin for each level, its children counted with ours."""
        if level == self.level:
            return self
        if level not in self._raised:
            twin = Particle(self.image, level, self.step, self.id, Raised(self), self.root, self.origin)
            twin._children = self._children
            self._raised[level] = twin
        return self._raised[level]

    def branch(self, k: int) -> tuple[int, int]:
        """Paths of the k-th particle that advancing leads to: the first continues this one's, further ones branch."""
        if k == 0:
            return self.step, self.id
        if self._stems is None:
            self._stems = _both(self.step, self.id, Verb.ADVANCE, self.level.key)
        return _both(*self._stems, k)

    def child(self, level: Level) -> Particle:
        """One more particle that advancing leads to."""
        root: int | Particle | None
        root = self if self.is_start and self.root is None and not self.image.stochastic else self.root
        return Particle(self.image, level, *self.branch(self.ordinal(Verb.ADVANCE)), None, root, self.origin)


def _both(step: int, id: int, *words: int) -> tuple[int, int]:
    """The same words folded into both paths of a particle, which are mostly one."""
    path = fold(step, *words)
    return path, path if id == step else fold(id, *words)


class Image:
    """One image in the making: everything a search may ask for without spending compute.

    Attributes:
        grid: levels of a plain sampling, noisiest first.
        random: the image's own random numbers.
        shape: event shape of the state.
        stochastic: whether steps draw noise.
    """

    def __init__(
        self, problem: Problem, seed: int, prices: Prices, ledger: Ledger, *, anytime: bool, shape: tuple[int, ...]
    ) -> None:
        self.problem = problem
        self.grid = prices.grid
        self.random = HostRandom(seed, problem.index)
        self.ledger = ledger
        self.shape = shape
        self.stochastic = prices.stochastic
        self._prices = prices
        self._anytime = anytime
        self._starts = 0
        self._noises = 0

    @property
    def steps(self) -> int:
        """Steps of a plain sampling."""
        return len(self.grid) - 1

    @property
    def most_steps(self) -> int:
        """The most steps that one sampling can be cut into."""
        return self._prices.most_steps

    @property
    def left(self) -> float:
        """NFE left of the budget; only a planned search may read it."""
        if self._anytime:
            raise RuntimeError(
                "image.left was read by an anytime search, whose one run serves every cap; "
                "a short reply already says that the budget is spent"
            )
        return self.ledger.left

    def cost(self, start: Level | None = None, to: Level | None = None, steps: int | None = None) -> int:
        """NFE of advancing one particle from level `start` (default: noisiest) to `to` (default: clean)."""
        return self._prices.cost(start or self.grid[0], to or self.grid[-1], steps)

    def level(self, time: float) -> Level:
        """The level at a share of the noisiest level's native time: 1 is the noisiest, 0 or less is clean."""
        return self._prices.level(time * self.grid[0].time) if time > 0 else self.grid[-1]

    def in_steps(self, value: float) -> int:
        """A number of steps (>= 1), or a share of the sampling (< 1), as steps, at least 1."""
        return max(1, round(value * self.steps)) if value < 1 else round(value)

    def order(self, rewards: Sequence[Rewarded]) -> list[float]:
        """Rewards as numbers that compare within this list: themselves, or minus mean ranks (`its.particles.order`)."""
        return order(rewards)

    def best(self, found: Sequence[T], rewards: Sequence[Rewarded], n: int | None = None) -> list[T]:
        """The `n` (default: all) of `found` with the highest `rewards`, best first; of equals the earlier is first."""
        scores = order(rewards)
        return [found[k] for k in sorted(range(len(scores)), key=lambda k: -scores[k])[:n]]

    def start(self, n: int = 1) -> list[Particle]:
        """The next `n` starting points of this problem's fixed sequence."""
        first = self._starts
        self._starts += n
        made = []
        for j in range(first, first + n):
            path = fold(_STARTS, j)
            root = None if self.stochastic else j
            made.append(Particle(self, self.grid[0], path, path, Start(path), root, Origin(path)))
        return made

    def given(self, x: np.ndarray) -> Particle:
        """The starting point `x [*shape]`, which another run has found, in place of the next of this problem's."""
        self._starts += 1
        path = fold(_STARTS, self._starts - 1)
        return Particle(self, self.grid[0], path, path, Given(path, x))

    def noise(self, n: int = 1) -> list[Particle]:
        """`n` fresh noises for `advance(noise=)`; they can be moved as starting points are."""
        first = self._noises
        self._noises += n
        paths = [fold(_NOISES, j) for j in range(first, first + n)]
        return [Particle(self, self.grid[0], path, path, Start(path)) for path in paths]

    def move(self, particle: Particle, move: Move, n: int = 1, fresh: bool = False) -> list[Particle]:
        """`n` moves of a starting point; their step noise stays the parent's unless `fresh`."""
        if not particle.is_start:
            raise ValueError("image.move got a particle that has been advanced; it moves starting points only")
        made, stem = [], fold(particle.id, Verb.MOVE)
        for _ in range(n):
            path = fold(stem, particle.ordinal(Verb.MOVE))
            step = path if fresh else particle.step
            origin = Origin(path, move, particle.origin)
            made.append(Particle(self, particle.level, step, path, Moved(particle, move, path), origin=origin))
        return made

    def renoise(self, particles: Sequence[Particle], to: Level | Sequence[Level]) -> list[Particle]:
        """Particles taken up to noisier levels by the exact forward kernel, each with new noise."""
        levels = [to] * len(particles) if isinstance(to, Level) else list(to)
        made = []
        for p, level in zip(particles, levels, strict=True):
            if level.clean or level.sigma * p.level.alpha < p.level.sigma * level.alpha:
                raise ValueError(f"image.renoise from {p.level} to {level}: the new level must be noisier")
            path = fold(p.id, Verb.RENOISE, p.level.key, level.key, p.ordinal(Verb.RENOISE))
            made.append(Particle(self, level, path, path, Renoised(p, path)))
        return made

    def jitter(self, particles: Sequence[Particle], std: float) -> list[Particle]:
        """Particles with noise of standard deviation `std` added at their own level."""
        made = []
        for p in particles:
            if p.level.clean:
                raise ValueError(
                    "image.jitter got a finished image, which noise would no longer leave clean; "
                    "renoise it to a level instead"
                )
            path = fold(p.id, Verb.JITTER, p.level.key, p.ordinal(Verb.JITTER))
            made.append(Particle(self, p.level, path, path, Jittered(p, std, path)))
        return made
