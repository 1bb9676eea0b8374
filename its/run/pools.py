"""The pool of a shard: every candidate of a range of problems, as arrays, and the best of them at a cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from its.disk.store import Arrays
from its.engine import Result
from its.particles import origin
from its.particles.order import Components, Rewarded, order
from its.pixels import to_uint8


def pack(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Arrays of a pool from its shard's results, in the order of their indices.

    Returns:
        index int64 `[n]`; offset int64 `[n + 1]`: candidates `offset[i]` to `offset[i + 1]` are of problem
        `index[i]`, in the order in which its search rewarded them; cap int64 `[m]`, position of the cap
        whose own run made it, -1 where one run served all caps; clock int64 `[m]`, NFE from which on it counts;
        step, id uint64 `[m]`, its two keys; reward float64 `[m]`, or `[m, members]` of a relative verifier;
        images `[m, C, H, W]`, unrounded; origin, uint8 `[bytes]`, a line of JSON for each.
    """
    results = sorted(results, key=lambda result: result.problem.index)
    pool = [candidate for result in results for candidate in result.candidates]
    return {
        "index": np.array([result.problem.index for result in results], dtype=np.int64),
        "offset": np.cumsum([0, *(len(result.candidates) for result in results)], dtype=np.int64),
        "cap": np.array([candidate.cap for candidate in pool], dtype=np.int64),
        "clock": np.array([candidate.clock for candidate in pool], dtype=np.int64),
        "step": np.array([candidate.noise_key for candidate in pool], dtype=np.uint64),
        "id": np.array([candidate.branch_key for candidate in pool], dtype=np.uint64),
        "reward": np.array([candidate.reward for candidate in pool], dtype=np.float64),
        "images": np.stack([candidate.image for candidate in pool]) if pool else np.zeros((0, 1, 1, 1), np.float32),
        "origin": origin.pack(candidate.origin for candidate in pool),
    }


def pixels(pool: Arrays) -> np.ndarray:
    """The candidates' images as a run delivers them, uint8 `[m, H, W, C]`."""
    import torch

    return to_uint8(torch.from_numpy(pool["images"])).contiguous().numpy()


def counting(pool: Arrays, problem: int, cap: int, nfe: float) -> np.ndarray:
    """Rows of the candidates of the pool's `problem`-th problem that count at the `cap`-th cap of `nfe` NFE."""
    rows = np.arange(pool["offset"][problem], pool["offset"][problem + 1])
    return rows[np.isin(pool["cap"][rows], (-1, cap)) & (pool["clock"][rows] <= nfe)]


@dataclass(frozen=True)
class Choice:
    """The best and the worst of several candidates, as rows of their pool, and what they are worth.

    `reward` is minus the mean rank among them if the verifier is relative. `worst_reward` likewise.
    """

    best: int
    worst: int
    reward: float
    worst_reward: float


def reward_of(rewards: np.ndarray, row: int) -> Rewarded:
    """A candidate's reward from `[m]`, or its components from `[m, members]`."""
    return Components(rewards[row].tolist()) if rewards.ndim == 2 else float(rewards[row])


def choose(rewards: np.ndarray, rows: np.ndarray) -> Choice:
    """Compare the candidates of `rows` (not empty) by `rewards` `[m]` or `[m, members]`; ties go to the earlier one."""
    values = np.array(order([reward_of(rewards, row) for row in rows]))
    best, worst = int(values.argmax()), int(values.argmin())
    return Choice(int(rows[best]), int(rows[worst]), float(values[best]), float(values[worst]))
