"""Folders of runs in progress, and wandbs that are not wandb."""

import json
import sys
from pathlib import Path

import pytest

from its.tracker.tracker import TrackedRun

ROWS = [
    {
        "nfe_cap": "5",
        "nfe": "5.0",
        "flops": "100.0",
        "images": "40",
        "fid": repr(1 / 3),
        "reward_mean_se": "inf",
        "note_size": "",
    },
    {
        "nfe_cap": "10",
        "nfe": "9.7",
        "flops": "200",
        "images": "40",
        "fid": repr(0.1 + 0.2),
        "reward_mean_se": "1",
        "note_size": "1.5",
    },
]


@pytest.fixture
def job(tmp_path) -> TrackedRun:
    """A finished run of 40 images in two shards."""
    experiment = tmp_path / "out" / "demo"
    folder = experiment / "digits" / "m-ddim" / "random" / "classifier" / "samplings" / "seed=0-0123abcd"
    folder.mkdir(parents=True)
    notes = [{"first": first, "images": 20, "seconds": 0.5, "nfe": 800} for first in (0, 20)]
    (folder / "timing.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    lines = [",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]
    (folder / "curve.csv").write_text("\n".join(lines) + "\n")
    label = {
        "dataset": "digits",
        "model": "m",
        "sampler": "ddim",
        "search": "random",
        "verifier": "classifier",
        "budget": "samplings",
        "metric": "standard",
    }
    return TrackedRun(folder, experiment, label, {"seed": 0})


@pytest.fixture
def impostor(tmp_path, monkeypatch):
    """Put a module of the given code where `import wandb` of the child finds it."""

    def put(code: str) -> None:
        folder = tmp_path / "impostor"
        folder.mkdir()
        (folder / "wandb.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))

    return put


@pytest.fixture
def wandb_core() -> Path:
    """wandb's own reader of its files, without the seconds that importing wandb takes."""
    (found,) = [path for folder in sys.path if (path := Path(folder) / "wandb" / "bin" / "wandb-core").exists()]
    return found
