"""A shard: what a range of problems came to, as arrays; nothing in it depends on time or place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from its.budget import COLUMNS
from its.dataset.image_set import NO_CLASS
from its.disk.store import Arrays
from its.engine import Result
from its.run.codes import NO_START, decode_lines, encode_lines, encode_start
from its.types import Condition

Shards = Sequence[tuple[range, Arrays]]
"""Problem indices and arrays of each shard; a shard may hold more problems than are asked for."""

MOST_NAMED = 20
"""Failed images, and reasons, that an error lists."""


def pack(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Return the arrays of a shard from its results, in the order of their indices.

    Returns:
        index, label int64 `[n]`; images uint8 `[m, H, W, C]`, each different one once; pick int64
        `[n, caps]`, the row of `images` at each cap, -1 if the image failed; reward float64
        `[n, caps]`, of a relative verifier `[n, caps, members]`; start int64 `[n, caps]` and noise
        `[moved, *shape]`, the image's starting point as `its.run.codes` says; ledger int64
        `[n, caps, columns]`; nan_rewards int64 `[n]`; failure, uint8, the failed images' reasons as lines.
    """
    results = sorted(results, key=lambda result: result.problem.index)
    caps = max(len(result.outcomes) for result in results)
    members = next((np.shape(outcome.reward) for result in results for outcome in result.outcomes[:1]), ())

    # Begin with what a failed image has: no image, no reward, no starting point, no cost.
    images, moved = list[np.ndarray](), list[np.ndarray]()
    pick = np.full((len(results), caps), -1, dtype=np.int64)
    reward = np.full((len(results), caps, *members), np.nan)
    start = np.full((len(results), caps), NO_START, dtype=np.int64)
    ledger = np.zeros((len(results), caps, len(COLUMNS)), dtype=np.int64)

    # Enter every outcome; an image that is the same at the next cap is stored once.
    for row, result in enumerate(results):
        for cap, outcome in enumerate(result.outcomes):
            if cap == 0 or not np.array_equal(outcome.image, images[-1]):
                images.append(outcome.image)
            pick[row, cap] = len(images) - 1
            reward[row, cap] = outcome.reward
            start[row, cap] = encode_start(outcome.start, moved)
            ledger[row, cap] = [outcome.ledger[column] for column in COLUMNS]
    return {
        "index": np.array([result.problem.index for result in results], dtype=np.int64),
        "label": np.array([class_id(result.problem.condition) for result in results], dtype=np.int64),
        "images": _stacked(images, np.uint8),
        "pick": pick,
        "reward": reward,
        "start": start,
        "noise": _stacked(moved, np.float32),
        "ledger": ledger,
        "nan_rewards": np.array([result.nan_rewards for result in results], dtype=np.int64),
        "failure": encode_lines(result.failure for result in results if result.failure),
    }


def class_id(condition: Condition) -> int:
    """Return the class that a condition asks for, `NO_CLASS` if it asks for something else."""
    return condition if isinstance(condition, int) else NO_CLASS


def _stacked(arrays: Sequence[np.ndarray], dtype: Any) -> np.ndarray:
    return np.stack(arrays) if arrays else np.zeros((0, 1, 1, 1), dtype=dtype)


def covers(arrays: Arrays, indices: range) -> bool:
    """Return whether arrays on disk hold at least these problems."""
    index = arrays["index"]
    return len(index) >= len(indices) and np.array_equal(index[: len(indices)], np.asarray(indices))


@dataclass(frozen=True)
class Collected:
    """All shards of a run at one cap.

    Attributes:
        images: uint8 `[n, H, W, C]`, by problem.
        rows: where each stands in the features of its shard: `[n, 2]` of (shard, row).
        class_ids: int64 `[n]`.
        reward: `[n]`, of a relative verifier `[n, members]`.
        ledger: int64 `[n, columns]`.
    """

    images: np.ndarray
    rows: np.ndarray
    class_ids: np.ndarray
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
        reasons += decode_lines(arrays["failure"]) if gaps.any() else []
    if failed:
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        raise ValueError(
            "metrics are not computed over a gap, and these images failed: "
            f"{', '.join(map(str, failed[:MOST_NAMED]))}{more}\n" + "\n".join(reasons[:MOST_NAMED])
        )


def refuse_other_conditions(shards: Iterable[tuple[range, Arrays]], condition: Callable[[int], Condition]) -> None:
    """See that the shards' problems asked for what they ask for here.

    Args:
        condition: of a problem, by its index.

    Raises:
        ValueError: one asked for something else.
    """
    for indices, arrays in shards:
        for index, stored in zip(indices, arrays["label"].tolist(), strict=False):
            if stored != (here := class_id(condition(index))):
                raise ValueError(
                    f"problem {index} asked for class {stored} when its image was made, and the dataset here asks for "
                    f"{here}; restore the dataset's code, or choose another name= or out_dir="
                )


def collect(shards: Iterable[tuple[range, Arrays]], cap: int) -> Collected:
    """Put shards without gaps together at one cap, given by its position among the run's caps."""
    images, rows, class_ids, reward, ledger = [], [], [], [], []
    for position, (indices, arrays) in enumerate(shards):
        n = len(indices)
        pick = arrays["pick"][:n, cap]
        images.append(arrays["images"][pick])
        rows.append(np.stack([np.full(n, position), pick], axis=1))
        class_ids.append(arrays["label"][:n])
        reward.append(arrays["reward"][:n, cap])
        ledger.append(arrays["ledger"][:n, cap])
    return Collected(*(np.concatenate(parts) for parts in (images, rows, class_ids, reward, ledger)))
