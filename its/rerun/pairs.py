"""Preference data from a pool: the best and the worst candidate of every image, as PNGs with their rewards."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from its.disk.store import write_atomic
from its.particles import origin
from its.rerun.rescore import Scored, scored
from its.run import pools
from its.run.experiment import Experiment


def check_empty(out_dir: Path) -> None:
    """Refuse a folder that holds something already."""
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise ValueError(f"{out_dir} is there and not empty, and pairs overwrite nothing; give a new folder")


def export_pairs(run: Experiment, out_dir: Path) -> tuple[int, int]:
    """Write `pairs.jsonl` and two PNGs for each image of the largest cap; return the pairs and the images without one.

    An image has none where fewer than two candidates have finite rewards, or all have the same.
    """
    lines = []
    for part in scored(run):
        origins = origin.unpack(part.pool["origin"])
        finite = np.isfinite(part.reward.reshape(len(part.reward), -1)).all(axis=1)
        for k in range(len(part.indices)):
            rows = pools.counting(part.pool, k, len(run.caps) - 1, run.caps[-1])
            rows = rows[finite[rows]]
            choice = pools.choose(part.reward, rows) if len(rows) else None
            if choice is None or choice.reward == choice.worst_reward:
                continue
            entry: dict[str, Any] = {"index": part.indices[k], "condition": part.conditions[k]}
            for side, row in (("best", choice.best), ("worst", choice.worst)):
                entry[side] = {"file": f"{part.indices[k]:08d}_{side}.png", **_candidate(part, row, origins)}
                write_atomic(out_dir / entry[side]["file"], _png(part.pixels[row]))
            lines.append(json.dumps(entry) + "\n")
    write_atomic(out_dir / "pairs.jsonl", "".join(lines).encode())
    return len(lines), run.images - len(lines)


def _candidate(part: Scored, row: int, origins: list[str]) -> dict[str, Any]:
    return {
        "reward": part.reward[row].tolist(),
        "key": {
            "step": f"{part.pool['step'][row]:016x}",
            "id": f"{part.pool['id'][row]:016x}",
            "origin": json.loads(origins[row]),
        },
    }


def _png(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(content, format="PNG")
    return content.getvalue()
