"""A run's curve: what its images are worth at every cap, against what they cost."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from its.budget import COLUMNS
from its.disk.run_folder import PER_IMAGE
from its.disk.store import Arrays, write_atomic
from its.metric.features import Features, Moments
from its.metric.fid import influence
from its.run import shards
from its.verifier.verifier import members_of

if TYPE_CHECKING:
    from its.run.experiment import Experiment

Row = dict[str, Any]
Shards = Sequence[tuple[range, Arrays]]


def measure(
    run: Experiment, loaded: Shards, features: Sequence[Arrays], notes: Sequence[dict]
) -> tuple[list[Row], dict[str, np.ndarray]]:
    """One row per cap, means per image of the ledger and of the rewards, and the metrics; and `PER_IMAGE`'s arrays."""
    reference = run.reference.load()
    flops = run.flops()
    members = members_of(run.engine.verifiers["select"])
    collected = [shards.collect(loaded, cap) for cap in range(len(run.caps))]
    spent = [float(part.ledger[:, 0].mean()) for part in collected]
    per_nfe = _seconds_per_image(loaded, notes) / (spent[-1] if run.search.anytime else sum(spent))
    rows: list[Row] = []
    measured: dict[bytes, Row] = {}
    images_say: dict[bytes, dict[str, np.ndarray]] = {}
    for cap, part, nfe in zip(run.caps, collected, spent, strict=True):
        costs = dict(zip(COLUMNS, part.ledger.mean(axis=0).tolist(), strict=True))
        row: Row = {
            "nfe_cap": cap if math.isfinite(cap) else None,
            **costs,
            "flops": sum(flops[column] * costs[column] for column in COLUMNS),
            "seconds": nfe * per_nfe,
            "images": len(part.label),
            **_reward(part.reward, members),
        }
        images = part.rows.tobytes()
        if images not in measured:
            sample = Features(**_gather(features, part.rows), labels=part.label)
            measured[images] = {
                name: value
                for metric in run.metrics
                for name, value in metric(sample, reference.part(metric.against)).items()
            }
            images_say[images] = _per_image(sample, reference.moments, measured[images])
        rows.append(row | measured[images])
    by_cap = [images_say[part.rows.tobytes()] for part in collected]
    return rows, {name: np.stack([said[name] for said in by_cap], axis=1) for name in by_cap[0]}


def write_curve(run: Experiment, rows: Sequence[Row], per_image: Arrays, loaded: Shards) -> None:
    """Write what people look at; `metrics.json` comes last and means that the run is finished."""
    from safetensors.numpy import save

    from its.report.figures import curve_figure, sample_grid

    for cap, row in enumerate(rows):
        part = shards.collect(loaded, cap)
        budget = row["nfe_cap"] or "natural"
        write_atomic(run.folder / f"samples_{budget}.png", sample_grid(part.images[:100]))
    write_atomic(run.folder / PER_IMAGE, save(dict(per_image)))
    write_atomic(run.folder / "curve.csv", to_csv(rows).encode())
    write_atomic(run.folder / "curve.png", curve_figure(rows, run.label, run.command))
    summary = {
        **run.label,
        "command": run.command,
        "images": run.images,
        "measured": run.measured,
        "asked": run.asked,
        "pool": run.engine.keep_candidates,
        "caps": [row["nfe_cap"] for row in rows],
        "nan_rewards": int(sum(arrays["nan_rewards"].sum() for _, arrays in loaded)),
        "curve": rows,
    }
    write_atomic(run.folder / "metrics.json", (json.dumps(summary, indent=1, sort_keys=True) + "\n").encode())
    (run.folder / "failed.json").unlink(missing_ok=True)


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV; floats keep every digit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _gather(features: Sequence[Arrays], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The extractor's arrays at the picked rows `[n, 2]` of (shard, row), shards in order."""
    return {
        name: np.concatenate([part[name][rows[rows[:, 0] == k, 1]] for k, part in enumerate(features)])
        for name in features[0]
    }


def _per_image(sample: Features, target: Moments, row: Row) -> dict[str, np.ndarray]:
    """What an image adds to a metric, float32 `[n]`: of FID to first order, of accuracy whether it is right."""
    said: dict[str, np.ndarray] = {}
    if "fid" in row:
        said["fid"] = influence(sample.features, sample.moments, target).astype(np.float32)
    if "accuracy" in row:
        said["accuracy"] = (sample.class_logits.argmax(axis=1) == sample.labels).astype(np.float32)
    return said


def _reward(reward: np.ndarray, members: Sequence[str]) -> Row:
    """Mean and its standard error; of a relative verifier each member's, for ranks of different pools have no mean."""
    if members:
        return {
            f"reward_{name}_{key.removeprefix('reward_')}": value
            for k, name in enumerate(members)
            for key, value in _reward(reward[:, k], ()).items()
        }
    spread = float(reward.std(ddof=1)) if len(reward) > 1 else math.inf
    return {"reward_mean": float(reward.mean()), "reward_mean_se": spread / math.sqrt(len(reward))}


def _seconds_per_image(loaded: Shards, notes: Sequence[dict]) -> float:
    """Measured seconds of the shards, each made last, over their images."""
    made = {note["first"]: note for note in notes if "first" in note}
    latest = [made[indices.start] for indices, _ in loaded if indices.start in made]
    return sum(note["seconds"] for note in latest) / max(1, sum(note["images"] for note in latest))
