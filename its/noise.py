"""Randomness that belongs to a path: a draw is a function of (seed, problem, path, element).

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in integer tensor
operations, so that the bits are the same on every device, batch and worker. Box-Muller runs in
float64 and is rounded to float32, which hides the last bits in which devices differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 2.0**-32

Noise = Callable[[int, Sequence[int], Sequence[int], tuple[int, ...], torch.device], Tensor]
"""What `normal` is to the engine: seed, problems, paths, event shape and device to rows `[n, *shape]`."""


def philox(counter: Sequence[Tensor], key: Sequence[Tensor]) -> Tensor:
    """Philox4x32-10.

    Args:
        counter: four int64 tensors of 32-bit words, of shapes that broadcast.
        key: two int64 tensors of 32-bit words.

    Returns:
        int64 `[4, ...]`, random 32-bit words.
    """
    c0, c1, c2, c3 = torch.broadcast_tensors(*counter)
    even, odd = torch.stack([c0, c2]), torch.stack([c1, c3])
    rounds = torch.arange(_ROUNDS, device=c0.device).reshape(-1, *[1] * even.ndim)
    multipliers, weyl = (torch.tensor(pair, device=c0.device).reshape(2, *[1] * c0.ndim)
                         for pair in (_MULTIPLIERS, _WEYL))
    keys = (torch.stack(list(key)) + rounds * weyl) & _MASK32
    keys[::2] = keys[::2].flip(1)
    factors = [multipliers, multipliers.flip(0)] * (_ROUNDS // 2)
    for factor, round_key in zip(factors, keys.unbind(), strict=True):
        product = even * factor     # each round leaves the pair the other way round
        even = (product >> 32).bitwise_and_(_MASK32).bitwise_xor_(odd.flip(0)).bitwise_xor_(round_key)
        odd = product.bitwise_and_(_MASK32)
    return torch.stack([even, odd], dim=1).flatten(0, 1)


def _words(values: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Low and high 32-bit words of 64-bit values, as columns `[n, 1]`."""
    bits = np.asarray(values, dtype=np.uint64)[:, None]
    pair = np.stack([bits & np.uint64(_MASK32), bits >> np.uint64(32)]).astype(np.int64)
    low, high = torch.from_numpy(pair).to(device, non_blocking=True)
    return low, high


def normal(
    seed: int,
    problems: Sequence[int],
    paths: Sequence[int],
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal noise for rows that each have their own problem and path.

    Args:
        seed: the run's seed, in [0, 2**32).
        problems: problem index of each row, in [0, 2**32).
        paths: 64-bit path of each row.
        shape: event shape of one row.

    Returns:
        float32 `[rows, *shape]`; a row depends on its own (seed, problem, path) alone.
    """
    device = torch.device(device)
    size = math.prod(shape)
    low, high = _words(paths, device)
    problem, _ = _words(problems, device)
    block = torch.arange(-(-size // 4), device=device)[None, :]
    key = (torch.full_like(problem, seed), problem)
    uniform = (philox((low, high, block, torch.zeros_like(block)), key).double() + 0.5) * _WORD
    length, angle = torch.sqrt(-2.0 * torch.log(uniform[::2])), 2 * math.pi * uniform[1::2]
    cosines, sines = (length * torch.cos(angle)).float(), (length * torch.sin(angle)).float()
    rows = torch.stack([cosines[0], sines[0], cosines[1], sines[1]], dim=-1).flatten(1)[:, :size]
    return rows.reshape(len(paths), *shape)
