"""Measuring: what a run's images are worth at every cap against what they cost, as a function of arrays alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from its.budget import CAP_COLUMNS, COLUMNS, LEDGER, OF_JUDGES, Currency
from its.disk.array_names import shard_name
from its.disk.columns import ORACLE, REMOTE
from its.disk.store import TIMING
from its.disk.valid_json import finite
from its.engine.verdicts import KINDS, ROLES, WORDS
from its.metric.features import Features, Moments
from its.metric.fid import influence
from its.metric.metric import Metric
from its.metric.pairwise import distances_within
from its.metric.reference import Reference
from its.run.shards import Collected, Shards, collect, ledger_of, verdicts
from its.run.stock import Stock
from its.verifier.verifier import Verifier

log = logging.getLogger(__name__)

Row = dict[str, Any]

COST_COLUMNS = (*LEDGER, *CAP_COLUMNS.values(), "flops", "seconds", "images", "reward_mean", "reward_mean_se")
"""Columns of a curve that no metric makes."""

STRANGE = {f"{kind}_{role}": (role, kind) for role in ROLES for kind in WORDS}
"""Columns of a curve that count images with rewards that are no numbers: the role of the verifier, and the kind."""


@dataclass(frozen=True)
class Curve:
    """A run's curve.

    Attributes:
        rows: one for each cap: means per image of the ledger and of the rewards, and the metrics; None where a number
            is missing.
        per_image: what each image adds to the metrics, and of images of prompts the scores of held-out verifiers:
            `[n, caps]` for each.
    """

    rows: list[Row]
    per_image: dict[str, np.ndarray]


def measure(
    caps: Sequence[float],
    stock: Stock,
    metrics: Sequence[Metric],
    reference: Reference,
    *,
    flops: Mapping[str, int],
    members: Sequence[str] = (),
    seconds: Sequence[float | None] | None = None,
    currency: Currency = "nfe",
    oracle: bool = False,
    remote: bool = False,
) -> Curve:
    """Measure shards without gaps, with the features of one cap in memory at a time.

    Args:
        caps: ascending; infinity stands for no cap.
        flops: of one call, by ledger column.
        members: of a relative verifier; empty if its rewards are numbers.
        seconds: per image at each cap, None where it is not known; None leaves the column out.
        currency: of the caps.
        oracle: whether the images were chosen by what measures them, which every row then says.
        remote: whether a judge elsewhere was asked, which every row then says with what the search asked of it.
    """
    rows: list[Row] = []
    shards = stock.shards
    strange = _strange(verdicts(shards))
    per_image: list[dict[str, np.ndarray]] = []
    measured: dict[bytes, tuple[Row, dict[str, np.ndarray]]] = {}
    for position, cap in enumerate(caps):
        part = collect(shards, position)

        # Means per image of what was spent, and of the rewards.
        costs = dict(zip(LEDGER, part.ledger.mean(axis=0).tolist(), strict=True))
        row: Row = {
            CAP_COLUMNS[currency]: cap if math.isfinite(cap) else None,
            **{column: costs[column] for column in COLUMNS},
            "flops": sum(flops[column] * costs[column] for column in COLUMNS),
            **({} if seconds is None else {"seconds": seconds[position]}),
            "images": len(part.class_ids),
            **_reward(part.reward, members),
            **_means(part.held_out),
            **_means(part.notes),
            **strange,
            **({ORACLE: 1} if oracle else {}),
            **({REMOTE: 1} | {column: costs[column] for column in OF_JUDGES} if remote else {}),
        }

        # The same images at a further cap are not measured again.
        key = part.rows.tobytes()
        if key not in measured:
            measured[key] = _metrics(part, stock, metrics, reference)
        if clashes := sorted(row.keys() & measured[key][0].keys()):
            raise ValueError(f"a metric makes the column {clashes[0]}, which a held-out verifier has; rename that")
        rows.append(finite(row | measured[key][0]))
        per_image.append(measured[key][1])
    return Curve(rows, {name: np.stack([effects[name] for effects in per_image], axis=1) for name in per_image[0]})


def seconds_per_image(shards: Shards, notes: Sequence[Mapping[str, Any]], *, anytime: bool) -> Sequence[float | None]:
    """Return the measured seconds of an image at each cap: those of the shards, divided among the caps by NFE.

    Nobody knows them, and it is said, if a shard has no line in the timing file.

    Args:
        notes: lines of the run's timing file; of a shard the latest counts.
        anytime: whether one run served all caps, so that the seconds of the largest are those of all.
    """
    # Take the latest line of each shard.
    latest = {note["first"]: note for note in notes if {"first", "images", "seconds"} <= note.keys()}
    ledger = np.concatenate([ledger_of(arrays)[: len(indices)] for indices, arrays in shards])
    untimed = [indices.start for indices, _ in shards if indices.start not in latest]
    if untimed:
        log.warning(
            "%s has no line of %s: the curve's seconds stay empty", TIMING, ", ".join(map(shard_name, untimed[:3]))
        )
        return [None] * ledger.shape[1]

    # Divide their seconds among the caps.
    timed = [latest[indices.start] for indices, _ in shards]
    whole = sum(note["seconds"] for note in timed) / max(1, sum(note["images"] for note in timed))
    nfe = ledger[:, :, LEDGER.index("nfe")].mean(axis=0).tolist()
    per_nfe = whole / (nfe[-1] if anytime else sum(nfe))
    return [each * per_nfe for each in nfe]


def _metrics(
    part: Collected, stock: Stock, metrics: Sequence[Metric], reference: Reference
) -> tuple[Row, dict[str, np.ndarray]]:
    """Return the metrics of images by column, and what each image adds to them."""
    sample = Features.of(stock.features(part.rows), part.class_ids, part.prompts)
    row = columns_of(metrics, sample, reference)
    scores = {} if part.prompts is None else part.held_out
    return row, {**per_image_effects(sample, reference.moments, row), **scores}


def columns_of(metrics: Iterable[Metric], sample: Features, reference: Reference) -> Row:
    """Compute metrics, each against its part of the reference; return their numbers by column.

    Raises:
        ValueError: one makes something else, or a column that is there.
    """
    row: Row = {}
    for metric in metrics:
        columns, name = metric(sample, reference.part(metric.against)), type(metric).__name__
        numbers = isinstance(columns, Mapping) and all(isinstance(value, Real) for value in columns.values())
        if not numbers:
            raise ValueError(f'{name} returns {repr(columns)[:60]}; a metric returns numbers by column, {{"fid": 1.5}}')
        if clashes := sorted(columns.keys() & {*row, *COST_COLUMNS}):
            raise ValueError(f"{name} makes the column {clashes[0]}, which is there already; give it another name")
        row |= {column: float(value) for column, value in columns.items()}
    return row


def per_image_effects(sample: Features, target: Moments, row: Row) -> dict[str, np.ndarray]:
    """Return what each image adds to a metric, float32 `[n]`.

    That is its influence on FID, whether its class is right, and how far it lies from others of its prompt.
    """
    effects: dict[str, np.ndarray] = {}
    if "fid" in row:
        effects["fid"] = influence(sample.features, sample.moments, target).astype(np.float32)
    if "accuracy" in row:
        effects["accuracy"] = (sample.class_logits.argmax(axis=1) == sample.labels).astype(np.float32)
    if "pairwise" in row:
        effects["pairwise"] = distances_within(sample).astype(np.float32)
    return effects


def _strange(given: np.ndarray) -> Row:
    """Return for each role how many images were given NaN, or infinity, at least once; nothing where none was."""
    images = given.sum(axis=0)
    found = {column: int(images[ROLES.index(role), KINDS.index(kind)]) for column, (role, kind) in STRANGE.items()}
    return {column: n for column, n in found.items() if n}


def tell_strange(row: Row, verifiers: Mapping[str, Verifier]) -> None:
    """Say which verifier, by role, gave rewards that are no numbers, and to how many images."""
    for column, (role, kind) in STRANGE.items():
        if column in row:
            name, images = type(verifiers[role]).__name__, row["images"]
            log.warning("verifier %s (%s) gave %s to %d of %d images", name, role, WORDS[kind], row[column], images)


def _reward(reward: np.ndarray, members: Sequence[str]) -> Row:
    """Return the mean and its standard error, NaN if a reward is not finite.

    Of a relative verifier each member's, for mean ranks have no scale.
    """
    if members:
        return {
            f"reward_{name}_{key.removeprefix('reward_')}": value
            for k, name in enumerate(members)
            for key, value in _reward(reward[:, k], ()).items()
        }
    return _mean("reward_mean", reward)


def _means(numbers: Mapping[str, np.ndarray]) -> Row:
    """Return by column the mean of numbers of images, such as held-out scores, and its standard error."""
    return {key: value for column, each in numbers.items() for key, value in _mean(column, each).items()}


def _mean(column: str, values: np.ndarray) -> Row:
    """Return the mean of numbers `[n]` and its standard error, NaN if one is not finite."""
    if not np.isfinite(values).all():
        return {column: math.nan, f"{column}_se": math.nan}
    spread = float(values.std(ddof=1)) if len(values) > 1 else math.inf
    return {column: float(values.mean()), f"{column}_se": spread / math.sqrt(len(values))}
