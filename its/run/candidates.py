"""The candidates of a shard: every image that a search had rewarded, as arrays, and the best of them at a cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from its.disk.columns import NOTE
from its.disk.store import Arrays
from its.engine import Candidate, Result
from its.particles.order import Components, Rewarded, order
from its.particles.origin import to_text
from its.pixels import to_uint8
from its.run.codes import encode_lines

ANY_CAP = -1
"""In place of a cap's position: one run served all caps."""


def pack(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Return the candidates of a shard's results as arrays, in the order of their problems.

    Returns:
        index int64 `[n]`; offset int64 `[n + 1]`: candidates `offset[i]` to `offset[i + 1]` are of problem
        `index[i]`, in the order in which its search rewarded them; cap int64 `[m]`, position of the cap
        whose own run made it, -1 where one run served all caps; clock int64 `[m]`, cap from which on it counts;
        step, id uint64 `[m]`, its keys; reward float64 `[m]`, or `[m, members]` of a relative verifier; images
        `[m, C, H, W]`, unrounded; origin, uint8 `[bytes]`, a line of JSON for each; note_... float64 `[m]`, what the
        search noted of the candidate, NaN where it did not.
    """
    results = sorted(results, key=lambda result: result.problem.index)
    candidates = [candidate for result in results for candidate in result.candidates]
    images = [candidate.image for candidate in candidates]
    return {
        "index": np.array([result.problem.index for result in results], dtype=np.int64),
        "offset": np.cumsum([0, *(len(result.candidates) for result in results)], dtype=np.int64),
        "cap": np.array([candidate.cap for candidate in candidates], dtype=np.int64),
        "clock": np.array([candidate.clock for candidate in candidates], dtype=np.int64),
        "step": np.array([candidate.noise_key for candidate in candidates], dtype=np.uint64),
        "id": np.array([candidate.branch_key for candidate in candidates], dtype=np.uint64),
        "reward": np.array([candidate.reward for candidate in candidates], dtype=np.float64),
        "images": np.stack(images) if images else np.zeros((0, 1, 1, 1), np.float32),
        "origin": encode_lines(to_text(candidate.origin) for candidate in candidates),
        **_notes(candidates),
    }


def _notes(candidates: Sequence[Candidate]) -> dict[str, np.ndarray]:
    names = sorted({name for candidate in candidates for name in candidate.notes})
    return {NOTE + name: np.array([each.notes.get(name, np.nan) for each in candidates]) for name in names}


def notes_of(candidates: Arrays, row: int) -> dict[str, float]:
    """Return what a search noted of a candidate, by name."""
    values = {name.removeprefix(NOTE): float(candidates[name][row]) for name in candidates if name.startswith(NOTE)}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def pixels(candidates: Arrays) -> np.ndarray:
    """Return the candidates' images as a run delivers them, uint8 `[m, H, W, C]`."""
    import torch

    return to_uint8(torch.from_numpy(candidates["images"])).contiguous().numpy()


def counting(candidates: Arrays, problem: int, cap: int, most: float) -> np.ndarray:
    """Return the rows of the candidates of the `problem`-th problem that count at the `cap`-th cap, which is `most`."""
    rows = np.arange(candidates["offset"][problem], candidates["offset"][problem + 1])
    return rows[np.isin(candidates["cap"][rows], (ANY_CAP, cap)) & (candidates["clock"][rows] <= most)]


@dataclass(frozen=True)
class Choice:
    """The best and the worst of several candidates.

    Attributes:
        best, worst: rows of the candidates' arrays.
        reward, worst_reward: of the two; minus the mean rank among the candidates if the verifier is relative.
    """

    best: int
    worst: int
    reward: float
    worst_reward: float


def reward_of(rewards: np.ndarray, row: int) -> Rewarded:
    """Return a candidate's reward from `[m]`, or its components from `[m, members]`."""
    return Components(rewards[row].tolist()) if rewards.ndim == 2 else float(rewards[row])


def choose(rewards: np.ndarray, rows: np.ndarray) -> Choice:
    """Compare the candidates of `rows` (not empty) by `rewards` `[m]` or `[m, members]`; ties go to the earlier one."""
    values = np.array(order([reward_of(rewards, row) for row in rows]))
    best, worst = int(values.argmax()), int(values.argmin())
    return Choice(int(rows[best]), int(rows[worst]), float(values[best]), float(values[worst]))
