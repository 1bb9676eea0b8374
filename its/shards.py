"""A shard: what a range of problems came to, as arrays; nothing in it that time or place decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from its.budget import COLUMNS
from its.engine import Result
from its.store import Arrays

NO_CLASS = -1
"""Label of a problem whose condition is not a class id."""


def pack(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Arrays of a shard from its results, in the order of their indices.

    Returns:
        index, label int64 `[n]`; images uint8 `[m, H, W, C]`, each different one once; pick int64
        `[n, caps]`, the row of `images` at each cap, -1 if the image failed; reward float64
        `[n, caps]`; ledger int64 `[n, caps, columns]`; nan_rewards int64 `[n]`; failure, uint8
        `[bytes]`, the failed images' reasons as UTF-8 lines.
    """
    results = sorted(results, key=lambda result: result.problem.index)
    caps = max(len(result.outcomes) for result in results)
    images: list[np.ndarray] = []
    pick = np.full((len(results), caps), -1, dtype=np.int64)
    reward = np.full((len(results), caps), np.nan)
    ledger = np.zeros((len(results), caps, len(COLUMNS)), dtype=np.int64)
    for row, result in enumerate(results):
        for cap, outcome in enumerate(result.outcomes):
            if cap == 0 or not np.array_equal(outcome.image, images[-1]):
                images.append(outcome.image)
            pick[row, cap] = len(images) - 1
            reward[row, cap] = outcome.reward
            ledger[row, cap] = [outcome.ledger[column] for column in COLUMNS]
    conditions = [result.problem.condition for result in results]
    failures = "\n".join(result.failure for result in results if result.failure)
    return {
        "index": np.array([result.problem.index for result in results], dtype=np.int64),
        "label": np.array([c if isinstance(c, int) else NO_CLASS for c in conditions], dtype=np.int64),
        "images": np.stack(images) if images else np.zeros((0, 1, 1, 1), dtype=np.uint8),
        "pick": pick,
        "reward": reward,
        "ledger": ledger,
        "nan_rewards": np.array([result.nan_rewards for result in results], dtype=np.int64),
        "failure": np.frombuffer(failures.encode(), dtype=np.uint8),
    }


def covers(arrays: Arrays, indices: range) -> bool:
    """Whether a shard on disk holds at least these problems."""
    found = arrays["index"]
    return len(found) >= len(indices) and np.array_equal(found[: len(indices)], np.asarray(indices))


@dataclass(frozen=True)
class Collected:
    """All shards of a run at one cap.

    Attributes:
        images: uint8 `[n, H, W, C]`, by problem.
        rows: where each stands in the features of its shard: `[n, 2]` of (shard, row).
        reward: `[n]`. ledger: int64 `[n, columns]`. label: int64 `[n]`.
    """

    images: np.ndarray
    rows: np.ndarray
    label: np.ndarray
    reward: np.ndarray
    ledger: np.ndarray


def collect(shards: Iterable[tuple[range, Arrays]], cap: int) -> Collected:
    """Put shards together at one cap (its position among the run's caps).

    Raises:
        ValueError: an image has failed; metrics are not computed over a gap.
    """
    images, rows, label, reward, ledger = [], [], [], [], []
    for position, (indices, arrays) in enumerate(shards):
        n = len(indices)
        pick = arrays["pick"][:n, cap] if arrays["pick"].shape[1] else np.full(n, -1)
        if (pick < 0).any():
            gaps = [int(i) for i in arrays["index"][:n][pick < 0]]
            reasons = arrays["failure"].tobytes().decode()
            raise ValueError(f"images {gaps} failed, and metrics are not computed over a gap:\n{reasons}")
        images.append(arrays["images"][pick])
        rows.append(np.stack([np.full(n, position), pick], axis=1))
        label.append(arrays["label"][:n])
        reward.append(arrays["reward"][:n, cap])
        ledger.append(arrays["ledger"][:n, cap])
    parts = (np.concatenate(part) for part in (images, rows, label, reward, ledger))
    return Collected(*parts)
