"""The image that a search makes, and the verbs that cost nothing: they make particles, and no tensors."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from numbers import Real
from types import CodeType
from typing import TypeVar

import numpy as np

from its.budget import Ledger
from its.levels import Level
from its.particles.arguments import check_count, check_number, described, levels_of, particles_of, rows_of
from its.particles.host_random import HostRandom
from its.particles.keys import Verb, fold, fresh_noise_key, start_key
from its.particles.moves import Move, Place
from its.particles.order import Rewarded, order
from its.particles.particle import FixedStart, Jittered, Moved, Origin, Particle, Placed, Proposed, Renoised, Start
from its.particles.prices import Prices
from its.types import Problem

T = TypeVar("T")


class Image:
    """One image in the making, and everything a search may ask of it without spending compute.

    Attributes:
        grid: levels of a plain sampling, noisiest first.
        random: the image's own random numbers.
        shape: event shape of the state.
        stochastic: whether steps draw noise.
        twisted: whether a guidance moves that noise, so that its particles have log-ratios.
        prior_std: standard deviation of x_T at the top of the grid.
        dropped: requests that were made and not yielded: verb, code and line.
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
        self.twisted = False
        self.prior_std = prices.prior_std
        self._prices = prices
        self._anytime = anytime
        self._starts = 0
        self._noises = 0
        self.dropped: list[tuple[str, CodeType, int]] = []

    @property
    def steps(self) -> int:
        """Return the number of steps of a plain sampling."""
        return len(self.grid) - 1

    @property
    def most_steps(self) -> int:
        """Return the most steps that one sampling can be cut into."""
        return self._prices.most_steps

    @property
    def left(self) -> float:
        """Return the NFE, or verifier calls, left of the budget; only a planned search may read it."""
        if self._anytime:
            raise RuntimeError(
                "image.left was read by an anytime search, whose one run serves every cap; "
                "a short reply already says that the budget is spent"
            )
        return self.ledger.left

    def price(self, nfe: int, calls: int) -> int:
        """Return the price of what takes so many NFE and verifier calls, in what the budget counts.

        Only a planned search may ask: what an anytime one does depends on no budget.
        """
        if self._anytime:
            raise RuntimeError("image.price was asked by an anytime search, whose one run serves every kind of cap")
        return nfe if self.ledger.currency == "nfe" else calls

    def cost(self, start: Level | None = None, to: Level | None = None, steps: int | None = None) -> int:
        """Return the NFE of advancing one particle from level `start` (default: noisiest) to `to` (default: clean).

        It is the sum over the levels where the network is evaluated, which may cost more at some than at others.
        """
        for level in (start, to):
            levels_of("image.cost", level, 1)
        return self._prices.cost(start or self.grid[0], to or self.grid[-1], steps)

    def cost_of_guess(self, level: Level) -> int:
        """Return the NFE of the guess of one particle at a level, which its next step uses again; 0 of an image."""
        levels_of("image.cost_of_guess", level, 1)
        return 0 if level.clean else self._prices.evaluation(level)

    def check_steps(self, steps: int) -> None:
        """Check that one sampling can be cut into so many steps.

        Raises:
            ValueError: noise does not stand at the top of such a grid.
        """
        self._prices.check_steps(steps)

    def level(self, time: float) -> Level:
        """Return the level at a share of the noisiest level's native time: 1 is the noisiest, 0 or less is clean.

        Raises:
            ValueError: the share is above 1.
        """
        if not time <= 1 + 1e-9:
            raise ValueError(
                f"image.level got {time!r}; it takes a share of the noisiest level's time, from 0 (clean) to 1, and "
                "image.grid[2] is the level after two steps"
            )
        return self._prices.level(time * self.grid[0].time) if time > 0 else self.grid[-1]

    def in_steps(self, value: float) -> int:
        """Return a number of steps (>= 1), or a share of the sampling (< 1), as steps, at least 1."""
        return max(1, round(value * self.steps)) if value < 1 else round(value)

    def order(self, rewards: Sequence[Rewarded]) -> list[float]:
        """Return numbers that compare the rewards of this list: themselves, or minus mean ranks.

        See `its.particles.order`.
        """
        return order(rewards)

    def best(self, candidates: Sequence[T], rewards: Sequence[Rewarded], n: int | None = None) -> list[T]:
        """Return the `n` (default: all) candidates of highest reward, best first; of equals the earlier is first."""
        scores = order(rewards)
        return [candidates[k] for k in sorted(range(len(scores)), key=lambda k: -scores[k])[:n]]

    def start(self, n: int = 1) -> list[Particle]:
        """Make the next `n` starting points of this problem's fixed sequence."""
        check_count("image.start", "n", n)
        first = self._starts
        self._starts += n
        particles = []
        for number in range(first, first + n):
            key = start_key(number)
            root = None if self.stochastic else number
            particles.append(Particle(self, self.grid[0], key, key, Start(key), root, Origin(key)))
        return particles

    def start_from(self, x: np.ndarray) -> Particle:
        """Make a starting point of `x [*shape]`, which another run has left, in place of the problem's next one."""
        key = start_key(self._starts)
        self._starts += 1
        return Particle(self, self.grid[0], key, key, FixedStart(key, x))

    def noise(self, n: int = 1) -> list[Particle]:
        """Make `n` fresh noises for `advance(noise=)`; they can be moved as starting points are."""
        check_count("image.noise", "n", n)
        first = self._noises
        self._noises += n
        keys = [fresh_noise_key(number) for number in range(first, first + n)]
        return [Particle(self, self.grid[0], key, key, Start(key)) for key in keys]

    def move(self, particle: Particle, move: Move, n: int = 1, fresh: bool = False) -> list[Particle]:
        """Make `n` moves of a starting point; their step noise stays the parent's unless `fresh`.

        Raises:
            TypeError: it is no particle, or `move` no move. ValueError: the particle is no starting point.
        """
        check_count("image.move", "n", n)
        if not isinstance(particle, Particle) or not hasattr(move, "uses_noise"):
            raise TypeError(
                f"image.move got {described(particle)} and {described(move)}; it takes one starting point and a move: "
                "Rotate(cos), Mix(share), Ball(radius) or LowBand(coefs, level), from its"
            )
        if not particle.is_start:
            raise ValueError("image.move got a particle that has been advanced; it moves starting points only")
        particles, stem = [], fold(particle.branch_key, Verb.MOVE)
        for _ in range(n):
            key = fold(stem, particle.add_child(Verb.MOVE))
            noise_key = key if fresh else particle.noise_key
            origin = Origin(key, move, particle.origin)
            particles.append(Particle(self, particle.level, noise_key, key, Moved(particle, move, key), origin=origin))
        return particles

    def renoise(self, particles: Sequence[Particle], to: Level | Sequence[Level]) -> list[Particle]:
        """Take particles up to noisier levels by the exact forward kernel, each with new noise.

        Args:
            to: a level, or one for each particle.

        Raises:
            ValueError: a level is clean, or less noisy than its particle's.
        """
        particles = particles_of("image.renoise", particles)
        renoised = []
        for p, level in zip(particles, levels_of("image.renoise", to, len(particles)), strict=True):
            if level is None or level.clean or level.sigma * p.level.alpha < p.level.sigma * level.alpha:
                raise ValueError(f"image.renoise from {p.level} to {level}: the new level must be noisier")
            key = fold(p.branch_key, Verb.RENOISE, p.level.key, level.key, p.add_child(Verb.RENOISE))
            renoised.append(Particle(self, level, key, key, Renoised(p, key)))
        return renoised

    def jitter(self, particles: Sequence[Particle], std: float) -> list[Particle]:
        """Add noise of standard deviation `std` to particles, each at its own level.

        Raises:
            ValueError: a particle is a finished image.
        """
        check_number("image.jitter", "std", std)
        jittered = []
        for p in particles_of("image.jitter", particles):
            if p.level.clean:
                raise ValueError(
                    "image.jitter got a finished image, which noise would no longer leave clean; "
                    "renoise it to a level instead"
                )
            key = fold(p.branch_key, Verb.JITTER, p.level.key, p.add_child(Verb.JITTER))
            jittered.append(Particle(self, p.level, key, key, Jittered(p, std, key)))
        return jittered

    def place(self, particles: Sequence[Particle], x: np.ndarray | Sequence[np.ndarray]) -> list[Particle]:
        """Make particles of numbers, each at the level of another, whose step noise it keeps.

        Args:
            x: `[n, *shape]`, as `numbers` gives them; x_T is `image.prior_std` times white noise.

        Raises:
            ValueError: they are of another shape or not finite, or a particle is a finished image.
        """
        particles = particles_of("image.place", particles)
        rows, placed = rows_of("image.place", "x", x, len(particles), self.shape), []
        for p, row in zip(particles, rows, strict=True):
            if p.level.clean:
                raise ValueError("image.place got a finished image; it takes particles on their way")
            key = fold(p.branch_key, Verb.PLACE, p.level.key, p.add_child(Verb.PLACE))
            if not p.is_start:
                placed.append(Particle(self, p.level, p.noise_key, key, Placed(p, row)))
                continue
            move, origin = Place(row / self.prior_std), p.origin
            if origin is not None and isinstance(origin.move, Place):  # of which nothing is left
                origin = origin.parent
            origin = Origin(key, move, origin)
            placed.append(Particle(self, p.level, p.noise_key, key, Moved(p, move, key), origin=origin))
        return placed

    def propose(
        self,
        particles: Sequence[Particle],
        x0: np.ndarray | Sequence[np.ndarray],
        x: np.ndarray | Sequence[np.ndarray] | None = None,
    ) -> list[Particle]:
        """Make particles with the rows of others whose x0_hat is known, and another x0_hat in the place of that.

        Each is scored by that guess and steps from it, with the eps_hat that goes with it; the first proposal of a
        particle draws its step noise, others draw their own.

        Args:
            x0: `[n, *shape]`, as `numbers` gives them.
            x: other rows too, `[n, *shape]`, which no step has led to; None keeps the particles'.

        Raises:
            ValueError: they are of another shape or not finite, or a particle is a finished image.
        """
        particles = particles_of("image.propose", particles)
        guesses = rows_of("image.propose", "x0", x0, len(particles), self.shape)
        rows = repeat(None) if x is None else rows_of("image.propose", "x", x, len(particles), self.shape)
        stems = {p: fold(p.branch_key, Verb.PROPOSE, p.level.key) for p in set(particles)}
        proposed = []
        for p, guess, row in zip(particles, guesses, rows, strict=False):
            if p.level.clean:
                raise ValueError(
                    "image.propose got a finished image, which has no guess; it takes particles on their way"
                )
            number = p.add_child(Verb.PROPOSE)
            key = fold(stems[p], number)
            proposed.append(Particle(self, p.level, key if number else p.noise_key, key, Proposed(p, guess, row)))
        return proposed

    def note(self, particle: Particle, **values: float) -> None:
        """Note numbers of a finished image, which its result and its candidate keep: columns `note_<name>`.

        Raises:
            ValueError: one is no number, or the particle is on its way yet.
        """
        [particle] = particles_of("image.note", [particle])
        if not particle.level.clean:
            raise ValueError("image.note got a particle on its way; what is noted is kept of finished images alone")
        for name, value in values.items():
            if not isinstance(value, Real) or isinstance(value, bool):
                raise ValueError(f"image.note got {name}={described(value)}; it is a number, as float(...)")
            particle.notes[name] = float(value)
