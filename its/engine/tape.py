"""Noise on tape: the draws of a run, each with what it is for, recorded from it or handed to it. See docs/replay.md."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from its.engine.draws import Draws
from its.engine.noise import normal
from its.engine.state import Rollout, State
from its.particles.host_random import HostRandom

ImageDraws = dict[str, Tensor]
"""Of one image, in order, named by their place and what they are for: `000007 step 961`."""

MOST_NAMED = 4
"""Unread draws of an image that an error lists."""


class Tape:
    """The draws of one run: recorded from it, or, where some are given, all that it draws.

    An engine takes it in place of a source of noise: `Engine(..., noise=tape)`.

    Args:
        source: by problem index, the draws that a run is to have, tensors or arrays; None records the run's own.
    """

    def __init__(self, source: Mapping[int, Mapping[str, Tensor | np.ndarray]] | None = None) -> None:
        self._source = source
        self._names: dict[int, dict[int, str]] = {}
        self._values: dict[tuple[int, int], Tensor] = {}

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Make a tape that plays a file that `save` wrote, or another program in its place.

        Raises:
            ValueError: it is no safetensors, or a tensor's name is not `<problem>/<place> <what it is for>`.
        """
        try:
            tensors = load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is no tape, or is cut short ({type(error).__name__}: {error})") from error
        source: dict[int, ImageDraws] = defaultdict(dict)
        for name, values in tensors.items():
            parts = re.fullmatch(r"(0|[1-9][0-9]*)/([0-9]{6,} \S.*)", name)
            if parts is None:
                raise ValueError(
                    f"{path}: a draw is named {name!r}; a name is <problem>/<place of six digits> <what it is for>, "
                    "as in '2/000007 step 899'"
                )
            source[int(parts[1])][parts[2]] = values
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
    def draws(self) -> dict[int, ImageDraws]:
        """Return by problem index what the run has drawn so far."""
        return {
            problem: {name: self._values[problem, key] for key, name in names.items() if (problem, key) in self._values}
            for problem, names in self._names.items()
        }

    def __call__(
        self,
        seed: int,
        problems: Sequence[int],
        keys: Sequence[int],
        shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> Tensor:
        """Draw, as `its.engine.noise.normal` does, what has been announced.

        Raises:
            ValueError: the tape has something else there, or nothing.
        """
        places = list(zip(problems, map(int, keys), strict=True))
        if self._source is not None:
            return torch.stack([self._played(*place, torch.float32, shape) for place in places]).to(device)
        rows = normal(seed, problems, keys, shape, device)
        for (problem, key), row in zip(places, rows.cpu(), strict=True):
            if key not in self._names[problem]:
                raise RuntimeError(f"image {problem} drew at key {key}, which no request has announced")
            self._values[problem, key] = row
        return rows

    def open(self, problem: int, random: HostRandom) -> HostRandom:
        """Begin an image; return its own random numbers, on tape.

        Raises:
            ValueError: it is on this tape already.
        """
        if problem in self._names:
            raise ValueError(
                f"image {problem} is on this tape already, and a tape holds one run at one cap; take another tape"
            )
        self._names[problem] = {}
        return _TapedRandom(self, problem, random)

    def announce(self, problem: int, key: int, purpose: str) -> None:
        """Give a draw the image's next place, unless it has one."""
        names = self._names[problem]
        names.setdefault(key, f"{len(names):06d} {purpose}")

    def host(self, problem: int, key: int, value: np.ndarray) -> np.ndarray:
        """Put a random number of the search on tape, or return the tape's in its place.

        Raises:
            ValueError: the tape has something else there, or nothing.
        """
        if self._source is not None:
            like = torch.from_numpy(value)
            return self._played(problem, key, like.dtype, tuple(like.shape)).numpy()
        self._values[problem, key] = torch.from_numpy(value)
        return value

    def name(self, problem: int, key: int) -> str:
        """Return the name of an announced draw."""
        return self._names[problem][key]

    def close(self) -> None:
        """See that nothing of a tape that is played was left unread.

        Raises:
            ValueError: names what the run has not asked for.
        """
        unread = []
        for problem, draws in (self._source or {}).items():
            read = self.draws.get(problem)
            left = sorted(draws.keys() - (read or {}))
            more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
            if read is None:
                unread.append(f"image {problem} was not run")
            elif left:
                unread.append(f"image {problem} left {', '.join(map(repr, left[:MOST_NAMED]))}{more}")
        if unread:
            raise ValueError(f"the run is over and has not read all of its tape: {'; '.join(unread)}")

    def _played(self, problem: int, key: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
        """Return the source's draw in place of an announced one."""
        name, draws = self._names[problem][key], (self._source or {}).get(problem, {})
        if name not in draws:
            there = next((other for other in draws if other[:7] == name[:7]), "nothing")
            raise ValueError(f"image {problem} asks the tape for {name!r}, and it has {there!r} there")
        value = torch.as_tensor(draws[name])
        if (value.dtype, tuple(value.shape)) != (dtype, shape):
            raise ValueError(
                f"image {problem}: {name!r} of the tape is {_kind(value.dtype, value.shape)}, and the run takes "
                f"{_kind(dtype, shape)}"
            )
        if not torch.isfinite(value).all():
            raise ValueError(f"image {problem}: {name!r} of the tape holds a number that is not finite")
        self._values[problem, key] = value
        return value


def _kind(dtype: torch.dtype, shape: Sequence[int]) -> str:
    return f"{str(dtype).removeprefix('torch.')} {list(shape)}"


class Announcer:
    """Announces to a tape what is paid for, in list order."""

    def __init__(self, tape: Tape, draws: Draws) -> None:
        self._tape = tape
        self._draws = draws

    def rollout(self, rollout: Rollout, state: State) -> None:
        """Announce the draws of a rollout from `state`."""
        for key, purpose in self._draws.of_rollout(rollout, state):
            self._tape.announce(rollout.run.image.problem.index, key, purpose)

    def guess(self, state: State) -> None:
        """Announce the draws of a state that is evaluated."""
        for key, purpose in self._draws.of_guess(state):
            self._tape.announce(state.run.image.problem.index, key, purpose)


class _TapedRandom(HostRandom):
    """An image's own random numbers, on tape; `choice` is drawn by `uniform`."""

    def __init__(self, tape: Tape, problem: int, random: HostRandom) -> None:
        self._tape = tape
        self._problem = problem
        self._random = random
        self._calls = 0

    def uniform(self, n: int) -> np.ndarray:
        values = self._draw("uniform", self._random.uniform(n))
        return self._checked(values, bool(((values >= 0) & (values < 1)).all()), "lies outside [0, 1)")

    def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        return self._draw("normal", self._random.normal(shape))

    def permutation(self, n: int) -> list[int]:
        values = self._draw("permutation", np.array(self._random.permutation(n), dtype=np.int64))
        return self._checked(values, sorted(values.tolist()) == list(range(n)), f"does not order 0 to {n - 1}").tolist()

    def _draw(self, purpose: str, value: np.ndarray) -> np.ndarray:
        self._calls += 1
        self._tape.announce(self._problem, -self._calls, purpose)
        return self._tape.host(self._problem, -self._calls, value)

    def _checked(self, values: np.ndarray, valid: bool, fault: str) -> np.ndarray:
        if not valid:
            name = self._tape.name(self._problem, -self._calls)
            raise ValueError(f"image {self._problem}: {name!r} of the tape {fault}")
        return values
