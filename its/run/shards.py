"""A shard: what a range of problems came to, as arrays; nothing in it that time or place decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from its.budget import COLUMNS
from its.dataset.image_set import NO_CLASS
from its.disk.store import Arrays
from its.engine import Result
from its.types import Condition

MOST_NAMED = 20
"""Failed images, and reasons, that an error lists."""


def pack(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Arrays of a shard from its results, in the order of their indices.

    Returns:
        index, label int64 `[n]`; images uint8 `[m, H, W, C]`, each different one once; pick int64
        `[n, caps]`, the row of `images` at each cap, -1 if the image failed; reward float64
        `[n, caps]`, of a relative verifier `[n, caps, members]`; start int64 `[n, caps]`, the number of
        the image's starting point in its problem's sequence, or `-2 - k` for row k of `noise`, or -1
        for none; noise `[moved, *shape]`, starting points that were moved; ledger int64
        `[n, caps, columns]`; nan_rewards int64 `[n]`; failure, uint8, the failed images' reasons as lines.
    """
    results = sorted(results, key=lambda result: result.problem.index)
    caps = max(len(result.outcomes) for result in results)
    images, noise = list[np.ndarray](), list[np.ndarray]()
    pick = np.full((len(results), caps), -1, dtype=np.int64)
    members = next((np.shape(outcome.reward) for result in results for outcome in result.outcomes[:1]), ())
    reward = np.full((len(results), caps, *members), np.nan)
    start = np.full((len(results), caps), -1, dtype=np.int64)
    ledger = np.zeros((len(results), caps, len(COLUMNS)), dtype=np.int64)
    for row, result in enumerate(results):
        for cap, outcome in enumerate(result.outcomes):
            if cap == 0 or not np.array_equal(outcome.image, images[-1]):
                images.append(outcome.image)
            pick[row, cap] = len(images) - 1
            reward[row, cap] = outcome.reward
            start[row, cap] = _start(outcome.start, noise)
            ledger[row, cap] = [outcome.ledger[column] for column in COLUMNS]
    failures = "\n".join(result.failure for result in results if result.failure)
    return {
        "index": np.array([result.problem.index for result in results], dtype=np.int64),
        "label": np.array([_label(result.problem.condition) for result in results], dtype=np.int64),
        "images": _stacked(images, np.uint8),
        "pick": pick,
        "reward": reward,
        "start": start,
        "noise": _stacked(noise, np.float32),
        "ledger": ledger,
        "nan_rewards": np.array([result.nan_rewards for result in results], dtype=np.int64),
        "failure": np.frombuffer(failures.encode(), dtype=np.uint8),
    }


def _label(condition: Condition) -> int:
    return condition if isinstance(condition, int) else NO_CLASS


def _stacked(arrays: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    return np.stack(arrays) if arrays else np.zeros((0, 1, 1, 1), dtype=dtype)


def _start(found: int | np.ndarray | None, noise: list[np.ndarray]) -> int:
    """How `start` tells of a starting point; a moved one is entered in `noise`, once if it is the latest."""
    if found is None or isinstance(found, int):
        return -1 if found is None else found
    if not noise or not np.array_equal(found, noise[-1]):
        noise.append(found)
    return -1 - len(noise)


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
        reward: `[n]`, of a relative verifier `[n, members]`. ledger: int64 `[n, columns]`. label: int64 `[n]`.
    """

    images: np.ndarray
    rows: np.ndarray
    label: np.ndarray
    reward: np.ndarray
    ledger: np.ndarray


def refuse_gaps(shards: Iterable[tuple[range, Arrays]]) -> None:
    """See that every image is there at every cap.

    Raises:
        ValueError: some have failed; metrics are not computed over a gap.
    """
    failed: list[int] = []
    reasons: list[str] = []
    for indices, arrays in shards:
        pick = arrays["pick"][: len(indices)]
        gaps = (pick < 0).any(axis=1) if pick.shape[1] else np.ones(len(indices), dtype=bool)
        failed += arrays["index"][: len(indices)][gaps].tolist()
        reasons += arrays["failure"].tobytes().decode().splitlines() if gaps.any() else []
    if failed:
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        raise ValueError(
            "metrics are not computed over a gap, and these images failed: "
            f"{', '.join(map(str, failed[:MOST_NAMED]))}{more}\n" + "\n".join(reasons[:MOST_NAMED])
        )


def collect(shards: Iterable[tuple[range, Arrays]], cap: int) -> Collected:
    """Put shards without gaps together at one cap (its position among the run's caps)."""
    images, rows, label, reward, ledger = [], [], [], [], []
    for position, (indices, arrays) in enumerate(shards):
        n = len(indices)
        pick = arrays["pick"][:n, cap]
        images.append(arrays["images"][pick])
        rows.append(np.stack([np.full(n, position), pick], axis=1))
        label.append(arrays["label"][:n])
        reward.append(arrays["reward"][:n, cap])
        ledger.append(arrays["ledger"][:n, cap])
    parts = (np.concatenate(part) for part in (images, rows, label, reward, ledger))
    return Collected(*parts)
