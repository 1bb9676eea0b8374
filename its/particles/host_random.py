"""The random numbers a search may use itself: resampling, coins, populations. Host side, no tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from its.particles.keys import fold

_BITS = np.random.Philox(key=0)
_STREAM = np.random.Generator(_BITS)
_START = _BITS.state
"""The initial state of the bit generator, which every call gives its own key: far cheaper than a generator for each."""


class HostRandom:
    """The only randomness a search may use besides its particles' noise: resampling, coins, populations.

    Every call is its own NumPy Philox stream, keyed by (seed, problem, call number).
    """

    def __init__(self, seed: int, problem: int) -> None:
        self._key = (seed << 32) | problem
        self._calls = 0

    def _stream(self) -> np.random.Generator:
        """Return the next call's stream, which is valid until the call after it."""
        self._calls += 1
        _START["state"]["key"][:] = fold(0, self._calls), self._key
        _BITS.state = _START
        return _STREAM

    def uniform(self, n: int) -> np.ndarray:
        """Draw `[n]` float64 in [0, 1)."""
        return self._stream().random(n)

    def normal(self, shape: int | tuple[int, ...]) -> np.ndarray:
        """Draw standard normal float64 of `shape`."""
        return self._stream().standard_normal(shape)

    def choice(self, n: int, size: int, p: Sequence[float] | None = None) -> list[int]:
        """Draw `size` indices below `n` with replacement, by probabilities `p` (default: equal)."""
        steps = np.cumsum([1 / n] * n if p is None else p)
        return [int(i) for i in np.searchsorted(steps / steps[-1], self.uniform(size), side="right")]

    def permutation(self, n: int) -> list[int]:
        """Return the indices below `n` in random order."""
        return [int(i) for i in self._stream().permutation(n)]
