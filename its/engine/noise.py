"""Randomness that belongs to a key: a draw is a function of (seed, problem, key, element).

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in integer operations that NumPy and
torch share, so that the bits are the same on every device, batch and worker. Box-Muller runs in float64 and is rounded
to float32, which hides the last bits in which devices differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 2.0**-32

Noise = Callable[[int, Sequence[int], Sequence[int], tuple[int, ...], torch.device], Tensor]
"""The source of noise, as `normal`: seed, problems, keys, event shape and device to rows `[n, *shape]`."""


def philox(counter: Sequence[Any], key: Sequence[Any]) -> tuple[Any, ...]:
    """Compute Philox4x32-10.

    Args:
        counter: four int64 arrays or tensors of 32-bit words, of shapes that broadcast.
        key: two of them, or integers.

    Returns:
        Four arrays or tensors of random 32-bit words.
    """
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c2 = ((p1 >> 32) & _MASK32) ^ c1 ^ k0, ((p0 >> 32) & _MASK32) ^ c3 ^ k1
        c1, c3 = p1 & _MASK32, p0 & _MASK32
        k0, k1 = (k0 + _WEYL[0]) & _MASK32, (k1 + _WEYL[1]) & _MASK32
    return c0, c1, c2, c3


def _words(values: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Split 64-bit values into low and high 32-bit words, int64 columns `[n, 1]`."""
    bits = np.asarray(values, dtype=np.uint64)[:, None]
    return (bits & np.uint64(_MASK32)).astype(np.int64), (bits >> np.uint64(32)).astype(np.int64)


def normal(
    seed: int,
    problems: Sequence[int],
    keys: Sequence[int],
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Draw standard normal noise for rows that each have their own problem and key.

    Args:
        seed: the run's seed, in [0, 2**32).
        problems: problem index of each row, in [0, 2**32).
        keys: 64-bit key of each row (`its.particles.keys`).
        shape: event shape of one row.

    Returns:
        float32 `[rows, *shape]`; a row depends on its own (seed, problem, key) alone.
    """
    device = torch.device(device)
    size = math.prod(shape)
    low, high = _words(keys)
    problem, _ = _words(problems)
    counter: list[Any] = [low, high, np.arange(-(-size // 4))[None, :], problem]
    if device.type != "cpu":
        counter = [torch.from_numpy(words).to(device, non_blocking=True) for words in counter]
    words = philox((*counter[:3], 0), (seed, counter[3]))
    uniform = (torch.stack([torch.as_tensor(word) for word in words]).double() + 0.5) * _WORD
    length, angle = torch.sqrt(-2.0 * torch.log(uniform[::2])), 2 * math.pi * uniform[1::2]
    cosines, sines = (length * torch.cos(angle)).float(), (length * torch.sin(angle)).float()
    rows = torch.stack([cosines[0], sines[0], cosines[1], sines[1]], dim=-1).flatten(1)[:, :size]
    return rows.reshape(len(keys), *shape)
