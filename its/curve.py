"""A run's curve: what its images are worth at every cap, against what they cost."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from its import shards
from its.budget import COLUMNS
from its.metric.features import Features
from its.store import Arrays, write_atomic

if TYPE_CHECKING:
    from its.experiment import Experiment

Row = dict[str, Any]
Shards = Sequence[tuple[range, Arrays]]


def measure(run: Experiment, loaded: Shards, features: Sequence[Arrays], notes: Sequence[dict]) -> list[Row]:
    """One row per cap: means per image of the ledger and of the rewards, and the metrics."""
    reference = _reference(run)
    flops = run.flops()
    collected = [shards.collect(loaded, cap) for cap in range(len(run.caps))]
    spent = [float(part.ledger[:, 0].mean()) for part in collected]
    per_nfe = _seconds_per_image(loaded, notes) / (spent[-1] if run.search.anytime else sum(spent))
    rows: list[Row] = []
    measured: dict[bytes, Row] = {}
    for cap, part, nfe in zip(run.caps, collected, spent, strict=True):
        costs = dict(zip(COLUMNS, part.ledger.mean(axis=0).tolist(), strict=True))
        row: Row = {"nfe_cap": cap if math.isfinite(cap) else None, **costs,
                    "flops": sum(flops[column] * costs[column] for column in COLUMNS),
                    "seconds": nfe * per_nfe, "images": len(part.label), **_reward(part.reward)}
        images = part.rows.tobytes()
        if images not in measured:
            sample = Features(*_gather(features, part.rows), part.label)
            measured[images] = {name: value for metric in run.metrics
                                for name, value in metric(sample, reference).items()}
        rows.append(row | measured[images])
    return rows


def write_curve(run: Experiment, rows: Sequence[Row], loaded: Shards) -> None:
    """Write what people look at; `metrics.json` comes last and means that the run is finished."""
    from its.report.figures import curve_figure, sample_grid

    for cap, row in enumerate(rows):
        part = shards.collect(loaded, cap)
        budget = row["nfe_cap"] or "natural"
        write_atomic(run.folder / f"samples_{budget}.png", sample_grid(part.images[:100]))
    write_atomic(run.folder / "curve.csv", to_csv(rows).encode())
    write_atomic(run.folder / "curve.png", curve_figure(rows, run.label, run.command))
    summary = {**run.label, "command": run.command, "images": run.images, "measured": run.measured,
               "caps": [row["nfe_cap"] for row in rows],
               "nan_rewards": int(sum(arrays["nan_rewards"].sum() for _, arrays in loaded)), "curve": rows}
    write_atomic(run.folder / "metrics.json", (json.dumps(summary, indent=1, sort_keys=True) + "\n").encode())
    (run.folder / "failed.json").unlink(missing_ok=True)


def read_curve(run: Experiment) -> list[Row] | None:
    """The rows of a finished run; None unless they are of the same images and metrics."""
    try:
        summary = json.loads((run.folder / "metrics.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    same = summary.get("images") == run.images and summary.get("measured") == run.measured
    return summary["curve"] if same else None


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV; floats keep every digit."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _reference(run: Experiment) -> Features:
    images, labels = run.reference()
    return Features(*run.extractor(images), labels)


def _gather(features: Sequence[Arrays], rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and logits of the picked rows `[n, 2]` of (shard, row), shards in order."""
    picked = [(part["features"][rows[rows[:, 0] == k, 1]], part["logits"][rows[rows[:, 0] == k, 1]])
              for k, part in enumerate(features)]
    return np.concatenate([pair[0] for pair in picked]), np.concatenate([pair[1] for pair in picked])


def _reward(reward: np.ndarray) -> Row:
    spread = float(reward.std(ddof=1)) if len(reward) > 1 else math.inf
    return {"reward_mean": float(reward.mean()), "reward_mean_se": spread / math.sqrt(len(reward))}


def _seconds_per_image(loaded: Shards, notes: Sequence[dict]) -> float:
    """Measured seconds of the shards, each made last, over their images."""
    made = {note["first"]: note for note in notes if "first" in note}
    latest = [made[indices.start] for indices, _ in loaded if indices.start in made]
    return sum(note["seconds"] for note in latest) / max(1, sum(note["images"] for note in latest))
