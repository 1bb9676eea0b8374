"""Run folders as experiments leave them, with plausible numbers."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from its.budget import cap_of
from its.disk.store import Store

LIFT = {"none": 0.0, "more_steps": 0.25, "random": 0.8, "zero_order": 0.9, "bfs_resample": 1.0}

Write = Callable[..., Path]


def fabricated_rows(search: str, verifier: str, seed: int, images: int, caps=(5, 10, 20, 40)) -> list[dict]:
    """A curve that rises with the logarithm of its cost, unless the verifier knows nothing."""
    random = np.random.default_rng([*search.encode(), *verifier.encode(), seed])
    rows = []
    for cap in caps:
        nfe = float(caps[0] or 60) if search == "none" else (cap or 60) * (0.93 if search == "bfs_resample" else 1.0)
        gain = LIFT.get(search, 0.6) * math.log2(nfe / 5) * (0.05 if verifier == "null" else 1)
        accuracy = min(0.98, 0.45 + 0.15 * gain + random.normal(0, 0.01))
        rows.append(
            {
                "nfe_cap": cap,
                "nfe": nfe,
                "nfe_backward": 0.0,
                "verifier_calls": nfe / 5,
                "decoder_calls": nfe / 5,
                "flops": nfe * 1.83e6 / 3,
                "seconds": nfe * 1.7e-4,
                "images": images,
                "reward_mean": -3 + 0.8 * gain + random.normal(0, 0.05),
                "reward_mean_se": 2 / math.sqrt(images),
                "fid": 30 - 5 * gain + random.normal(0, 0.5),
                "fid_se": 25 / math.sqrt(images),
                "kid": 0.1 / 3,
                "kid_se": 1e-17,
                "isc": 5 + gain + random.normal(0, 0.1),
                "isc_se": 0.1,
                "precision": 0.7,
                "precision_se": 0.01,
                "recall": 2 / 3,
                "accuracy": accuracy,
                "accuracy_se": math.sqrt(accuracy * (1 - accuracy) / images),
            }
        )
        if search == "none":
            rows[-1] |= {key: rows[0][key] for key in rows[0] if key not in ("nfe_cap", "seconds")}
    return rows


@pytest.fixture
def rows_of() -> Callable[..., list[dict]]:
    """Fabricate the rows of one run."""
    return fabricated_rows


def writer(parent: Path) -> Write:
    """What writes one run's folder under `parent / "demo"`; any label, or `rows`, may be given."""

    def write(search="random", verifier="classifier", seed=0, images=1000, rows=None, extra="", **labels) -> Path:
        label = {
            "name": "demo",
            "dataset": "digits",
            "model": "digits_unconditional",
            "sampler": "ddim",
            "search": search,
            "verifier": verifier,
            "budget": "samplings",
            "metric": "standard",
            "seed": str(seed),
        } | labels
        rows = fabricated_rows(search, verifier, seed, images) if rows is None else rows
        words = [f"search={search}", f"verifier={verifier}", f"images={images}", f"seed={seed}", *extra.split()]
        summary = label | {
            "command": "python run.py experiment=demo " + " ".join(words),
            "images": images,
            "caps": [cap_of(row).value for row in rows],
            "nan_rewards": 0,
            "curve": rows,
        }
        mark = f"{crc32(f'{extra} {images}'.encode()):08x}"
        folder = (
            parent
            / "demo"
            / label["dataset"]
            / f"{label['model']}-{label['sampler']}"
            / search
            / verifier
            / label["budget"]
            / f"seed={seed}-{mark}"
        )
        folder.mkdir(parents=True)
        (folder / "metrics.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return folder

    return write


@pytest.fixture
def write_run(tmp_path) -> Write:
    """Write one run's folder under `tmp_path / "demo"`."""
    return writer(tmp_path)


def write_shard(folder: Path, pick: np.ndarray, seed: int = 0) -> np.ndarray:
    """Write a run's first shard, of random digits as `pick` orders them; return all its images."""
    images = np.random.default_rng(seed).integers(0, 256, (pick.max() + 1, 8, 8, 1), dtype=np.uint8)
    arrays = {"images": images, "pick": pick, "label": np.arange(len(pick)) % 10, "reward": np.zeros(pick.shape)}
    Store(folder).write("shards/00000000.safetensors", arrays)
    return images


@pytest.fixture
def write_failure(tmp_path) -> Write:
    """Write the folder of a run that failed."""

    def write(search="random", reason="ValueError: image 3 failed") -> Path:
        folder = tmp_path / "demo" / "digits" / "m-ddim" / search / "classifier" / "samplings" / "seed=0-deadbeef"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failed.json").write_text(json.dumps({"reason": reason, "traceback": "…"}), encoding="utf-8")
        return folder

    return write
