"""A shard: what a range of problems came to, as arrays; nothing in it depends on time or place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from its.budget import COLUMNS, LEDGER
from its.disk.columns import HELD_OUT, NOTE
from its.disk.store import Arrays
from its.engine import Result
from its.engine.verdicts import FINITE, KINDS, NAN, ROLES
from its.run.codes import NO_START, decode_lines, encode_lines, encode_start
from its.run.conditions import asks, numbers_of, prompts_of, stored
from its.types import Condition
from its.verifier.verifier import Verifier, members_of

Shards = Sequence[tuple[range, Arrays]]
"""Problem indices and arrays of each shard; a shard may hold more problems than are asked for."""

MOST_NAMED = 20
"""Failed images, and reasons, that an error lists."""


def pack(results: Sequence[Result]) -> dict[str, np.ndarray]:
    """Return the arrays of a shard from its results, in the order of their indices.

    Returns:
        index int64 `[n]`; label and prompt, as `its.run.conditions` says; images uint8 `[m, H, W, C]`, each different
        one once; pick int64 `[n, caps]`, the row of `images` at each cap, -1 if the image failed; reward float64
        `[n, caps]`, of a relative verifier `[n, caps, members]`; start int64 `[n, caps]` and noise
        `[moved, *shape]`, the image's starting point as `its.run.codes` says; ledger int64 `[n, caps, columns]`, its
        columns of judges left out where none was asked; verdicts bool `[n, roles, kinds]`, the rewards that it was
        given, as `its.engine.verdicts` says; note_... float64 `[n, caps]`, what the search noted of the image, NaN
        where it did not; nan_rewards int64 `[n]`; failure, uint8, the failed images' reasons as
        lines.
        What is stored of images and noise, `its.run.kept_images` says.
    """
    results = sorted(results, key=lambda result: result.problem.index)
    caps = max(len(result.outcomes) for result in results)
    members = next((np.shape(outcome.reward) for result in results for outcome in result.outcomes[:1]), ())

    # Begin with what a failed image has: no image, no reward, no starting point, no cost.
    images, moved = list[np.ndarray](), list[np.ndarray]()
    pick = np.full((len(results), caps), -1, dtype=np.int64)
    reward = np.full((len(results), caps, *members), np.nan)
    start = np.full((len(results), caps), NO_START, dtype=np.int64)
    ledger = np.zeros((len(results), caps, len(LEDGER)), dtype=np.int64)

    # Enter every outcome; an image that is the same at the next cap is stored once.
    for row, result in enumerate(results):
        for cap, outcome in enumerate(result.outcomes):
            if cap == 0 or not np.array_equal(outcome.image, images[-1]):
                images.append(outcome.image)
            pick[row, cap] = len(images) - 1
            reward[row, cap] = outcome.reward
            start[row, cap] = encode_start(outcome.start, moved)
            ledger[row, cap] = [outcome.ledger.get(column, 0) for column in LEDGER]
    return {
        "index": np.array([result.problem.index for result in results], dtype=np.int64),
        **stored([result.problem.condition for result in results]),
        "images": _stacked(images, np.uint8),
        "pick": pick,
        "reward": reward,
        "start": start,
        "noise": _stacked(moved, np.float32),
        "ledger": ledger if ledger[..., len(COLUMNS) :].any() else ledger[..., : len(COLUMNS)],
        "verdicts": np.array(
            [[[(role, kind) in result.verdicts for kind in KINDS] for role in ROLES] for result in results]
        ),
        **_notes(results, caps),
        "nan_rewards": np.array([result.nan_rewards for result in results], dtype=np.int64),
        "failure": encode_lines(result.failure for result in results if result.failure),
    }


def _notes(results: Sequence[Result], caps: int) -> dict[str, np.ndarray]:
    """Return what searches noted of their images by the name of its array, `[n, caps]`; NaN where they did not."""
    names = sorted({name for result in results for outcome in result.outcomes for name in outcome.notes})
    notes = {NOTE + name: np.full((len(results), caps), np.nan) for name in names}
    for row, result in enumerate(results):
        for cap, outcome in enumerate(result.outcomes):
            for name, value in outcome.notes.items():
                notes[NOTE + name][row, cap] = value
    return notes


def ledger_of(arrays: Arrays) -> np.ndarray:
    """Return a shard's ledgers, int64 `[n, caps, columns]`, columns as in `its.budget.LEDGER`.

    Where no judge was asked a shard lacks their columns, and those of earlier versions the one before, of work that
    these refused: there they are 0.

    Raises:
        ValueError: they have another number of columns, so that nobody knows what each counts.
    """
    ledger = arrays["ledger"]
    if ledger.shape[2] not in (len(COLUMNS) - 1, len(COLUMNS), len(LEDGER)):
        raise ValueError(
            f"the ledger of a shard has {ledger.shape[2]} columns, and {len(LEDGER)} are known ({', '.join(LEDGER)}), "
            f"or the first {len(COLUMNS)} or {len(COLUMNS) - 1}; restore the file, or take the version that made it"
        )
    return np.pad(ledger, ((0, 0), (0, 0), (0, len(LEDGER) - ledger.shape[2])))


def verdicts(shards: Iterable[tuple[range, Arrays]]) -> np.ndarray:
    """Return whether each image was given a reward of each role and kind: bool `[images, roles, kinds]`.

    Shards of earlier versions counted NaN alone, of all roles, or nothing; theirs are taken as the select verifier's.
    """
    parts = []
    for indices, arrays in shards:
        given = arrays.get("verdicts")
        if given is None:
            n = len(arrays["index"])
            given = np.zeros((n, len(ROLES), len(KINDS)), dtype=bool)
            given[:, 0, KINDS.index(FINITE)] = np.isfinite(arrays["reward"]).reshape(n, -1).any(axis=1)
            given[:, 0, KINDS.index(NAN)] = arrays.get("nan_rewards", 0) > np.zeros(n)
        parts.append(given[: len(indices)])
    return np.concatenate(parts)


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
        rows: where each image stands among its shard's different ones: `[n, 2]` of (shard, row).
        class_ids: int64 `[n]`.
        prompts: number of each image's prompt among the different ones, int64 `[n]`; None without prompts.
        reward: `[n]`, of a relative verifier `[n, members]`.
        ledger: int64 `[n, columns]`.
        held_out: float64 `[n]` of each held-out verifier, by the name of its column.
        notes: float64 `[n]` of what the search noted, by the name of its column; NaN where it did not.
    """

    rows: np.ndarray
    class_ids: np.ndarray
    reward: np.ndarray
    ledger: np.ndarray
    held_out: Mapping[str, np.ndarray]
    notes: Mapping[str, np.ndarray]
    prompts: np.ndarray | None = None


def failed(arrays: Arrays, indices: range) -> np.ndarray:
    """Return which of a shard's images have failed: bool `[n]`."""
    pick = arrays["pick"][: len(indices)]
    return np.any(pick < 0, axis=1) if pick.shape[1] else np.ones(len(indices), dtype=bool)


def refuse_gaps(shards: Iterable[tuple[range, Arrays]]) -> None:
    """See that every image is there at every cap.

    Raises:
        ValueError: some have failed; metrics are not computed over a gap.
    """
    names: list[int] = []
    reasons: list[str] = []
    images = 0
    for indices, arrays in shards:
        gaps = failed(arrays, indices)
        images += len(indices)
        names += arrays["index"][: len(indices)][gaps].tolist()
        reasons += decode_lines(arrays["failure"]) if gaps.any() else []
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        raise ValueError(
            f"{len(names)} of {images} images failed, and metrics are not computed over a gap; the same command makes "
            f"their shards again; these images failed: {', '.join(map(str, names[:MOST_NAMED]))}{more}\n"
            + "\n".join(reasons[:MOST_NAMED])
        )


def never_finite(shards: Shards, members: Sequence[str] = ()) -> list[str]:
    """Return the members of the select verifier that gave no image a finite reward.

    Args:
        members: of a relative verifier; an absolute one is its own only member, and is returned as "".
    """
    seen = verdicts(shards)[:, ROLES.index("select")].sum(axis=0)
    if seen.sum() == 0 or not (members or seen[KINDS.index(FINITE)] == 0):
        return []
    rewards = np.concatenate([arrays["reward"][: len(indices)] for indices, arrays in shards])
    return [name for k, name in enumerate(members) if not np.isfinite(rewards[..., k]).any()] if members else [""]


def refuse_blind(shards: Shards, name: str, select: Verifier) -> None:
    """See that the select verifier could tell images apart.

    Args:
        name: of its YAML.

    Raises:
        ValueError: it never gave a finite reward, or a member of it never did.
    """
    members = members_of(select)
    blind = never_finite(shards, members)
    if blind:
        of = f"{', '.join(blind)} of " if members else ""
        raise ValueError(
            f"{of}verifier {name} ({type(select).__name__}) gave no finite reward to any of "
            f"{sum(len(indices) for indices, _ in shards)} images, only NaN or infinity: nothing was selected; mend "
            "the verifier or choose another, and run the command again, which makes the images again"
        )


def refuse_other_conditions(shards: Iterable[tuple[range, Arrays]], condition: Callable[[int], Condition]) -> None:
    """See that the shards' problems asked for what they ask for here.

    Args:
        condition: of a problem, by its index.

    Raises:
        ValueError: one asked for something else.
    """
    for indices, arrays in shards:
        for index, there in zip(indices, asks(arrays, condition), strict=False):
            if there != (here := condition(index)):
                what = f"class {there}" if isinstance(there, int) else "no class" if there is None else repr(there)
                raise ValueError(
                    f"problem {index} asked for {what} when its image was made, and the dataset here asks for "
                    f"{here!r}; restore the dataset's code, or choose another name= or out_dir="
                )


def collect(shards: Shards, cap: int) -> Collected:
    """Put shards without gaps together at one cap, given by its position among the run's caps."""
    rows, class_ids, reward, ledger = [], [], [], []
    held_out: dict[str, list[np.ndarray]] = defaultdict(list)
    noted = sorted({name for _, arrays in shards for name in arrays if name.startswith(NOTE)})
    notes: dict[str, list[np.ndarray]] = {name: [] for name in noted}
    for position, (indices, arrays) in enumerate(shards):
        n = len(indices)
        pick = arrays["pick"][:n, cap]
        rows.append(np.stack([np.full(n, position), pick], axis=1))
        class_ids.append(arrays["label"][:n])
        reward.append(arrays["reward"][:n, cap])
        ledger.append(ledger_of(arrays)[:n, cap])
        for name in filter(is_held_out, arrays):
            held_out[name].append(arrays[name][pick])
        for name, parts in notes.items():
            parts.append(arrays[name][:n, cap] if name in arrays else np.full(n, np.nan))
    return Collected(
        np.concatenate(rows),
        np.concatenate(class_ids),
        np.concatenate(reward),
        np.concatenate(ledger),
        {name: np.concatenate(parts) for name, parts in held_out.items()},
        {name: np.concatenate(parts) for name, parts in notes.items()},
        _prompt_numbers(shards),
    )


def _prompt_numbers(shards: Shards) -> np.ndarray | None:
    """Return the number of each image's prompt among the different ones, int64 `[n]`; None without prompts."""
    prompts: list[Condition] = []
    for indices, arrays in shards:
        prompts += (prompts_of(arrays) or [None] * len(indices))[: len(indices)]
    return numbers_of(prompts)


def is_held_out(name: str) -> bool:
    """Return whether an array in memory holds the scores of a held-out verifier."""
    return name.startswith(HELD_OUT)
