"""Randomness that belongs to a key: a draw is a function of (seed, problem, key, element).

Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") in integer operations that NumPy and
torch share, so that the bits are the same on every device, batch and worker. Box-Muller runs in float64 and is rounded
to float32, which hides the last bits in which devices differ. On a CUDA device a draw is one kernel.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from its.engine.shortage import is_shortage

log = logging.getLogger(__name__)

_MASK32 = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_WORD = 2.0**-32

Noise = Callable[[int, Sequence[int], Sequence[int], tuple[int, ...], torch.device], Tensor]
"""The source of noise, as `normal`: seed, problems, keys, event shape and device to rows `[n, *shape]`."""


Draw = Callable[[np.ndarray], Tensor]
"""What draws rows `[n, size]` of one size on one device by a table of their keys."""


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
    device, size = torch.device(device), math.prod(shape)
    table = _table(seed, problems, keys)
    rows = kernel(device, size)(table) if device.type == "cuda" else by_blocks(table, size, device)
    return rows.reshape(len(keys), *shape)


def by_blocks(table: np.ndarray, size: int, device: torch.device) -> Tensor:
    """Draw rows `[n, size]` block by block, operation by operation.

    Args:
        table: see `_table`.
    """
    blocks = np.arange(-(-size // 4))[None, :]
    low, high, problem, seed, block = (
        part if device.type == "cpu" else torch.from_numpy(part).to(device, non_blocking=True)
        for part in (*table[:, :, None], blocks)
    )
    words = philox((low, high, block, 0), (seed[:1], problem))
    u = torch.stack([torch.as_tensor(word) for word in words])
    length, angle = _polar(u[::2], u[1::2])
    cosines, sines = (length * torch.cos(angle)).float(), (length * torch.sin(angle)).float()
    return torch.stack([cosines[0], sines[0], cosines[1], sines[1]], dim=-1).flatten(1)[:, :size]


def by_elements(table: Tensor, element: Tensor) -> Tensor:
    """Draw rows `[n, size]` element by element, each from its block alone, so that a compiler makes one kernel of it.

    Args:
        table: see `_table`.
        element: places in a row `[1, size]`, int64. They are read from memory, since places that are counted in a
            kernel have 32 bits, which Triton refuses to multiply by Philox's constants.
    """
    low, high, problem, seed = table[:, :, None]
    lane = element & 3
    words = philox((low, high, element >> 2, 0), (seed, problem))
    length, angle = _polar(*(torch.where(lane < 2, words[k], words[k + 2]) for k in (0, 1)))
    return (length * torch.where(lane & 1 == 0, torch.cos(angle), torch.sin(angle))).float()


@cache
def kernel(device: torch.device, size: int) -> Draw:
    """Return what draws rows of a size on a device: one kernel, or many where none can be made, which is logged."""
    try:
        return compiled(device, size)
    except Exception as error:  # a compiler's may be of any kind
        if is_shortage(error):
            raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        log.warning("draws on %s are the same and slower, for they could not be made one kernel (%s)", device, why)
        return partial(by_blocks, size=size, device=device)


def compiled(device: torch.device, size: int) -> Draw:
    """Compile `by_elements` for rows of a size, whatever their number, and see that it draws what NumPy does.

    Raises:
        ArithmeticError: it draws something else.
        Exception: what the compiler raises.
    """
    fused = torch.compile(by_elements, fullgraph=True, options={"compile_threads": 1})

    def draw(table: np.ndarray) -> Tensor:
        # torch compiles again for a single row, so that is drawn twice; and for tensors of inference mode.
        rows = table.shape[1]
        many = table if rows > 1 else table.repeat(2, 1)
        with torch.inference_mode(False), torch.no_grad():
            keyed = torch.from_numpy(many).to(device, non_blocking=True)
            torch._dynamo.mark_dynamic(keyed, 1)
            return fused(keyed, _places(size, device))[:rows]

    table = _table(2**32 - 1, [0, 2**32 - 1, 77], [0, 2**64 - 1, 0x0123456789ABCDEF])
    numbers, expected = draw(table).cpu(), by_blocks(table, size, torch.device("cpu"))
    if not torch.allclose(numbers, expected, rtol=1e-6, atol=1e-9):
        raise ArithmeticError(f"its numbers differ from NumPy's by up to {(numbers - expected).abs().max():.2g}")
    return draw


@lru_cache(maxsize=8)
def _places(size: int, device: torch.device) -> Tensor:
    return torch.arange(size, device=device)[None, :]


def _table(seed: int, problems: Sequence[int], keys: Sequence[int]) -> np.ndarray:
    """Return what draws are keyed by, int64 `[4, n]`: keys' low and high words, problems, and the one seed."""
    bits = np.asarray(keys, dtype=np.uint64)
    low, high = bits & np.uint64(_MASK32), bits >> np.uint64(32)
    parts = low, high, np.asarray(problems, dtype=np.uint64), np.full_like(bits, seed)
    return np.stack(parts).astype(np.int64)


def _polar(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return lengths and angles of Box-Muller's pairs, float64, from random words."""
    length = torch.sqrt(-2.0 * torch.log((u.double() + 0.5) * _WORD))
    return length, 2 * math.pi * ((v.double() + 0.5) * _WORD)
