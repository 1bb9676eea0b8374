"""Runs as sets of images, and scripts/export_samples.py on runs of several shards and caps."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.dataset.folder import Folder
from its.dataset.npz import Npz
from its.disk.store import Store
from its.rerun.image_sets import RunImages, open_images
from its.run.codes import encode_lines
from scripts import export_samples

SHARDS = [range(4), range(4, 8), range(8, 10)]
"""Of ten images with two caps; the second cap has other pixels in every other image."""


def pixels(cap: int) -> np.ndarray:
    whole = np.random.default_rng(0).integers(2, 256, (2, 10, 6, 5, 1), dtype=np.uint8)
    return np.where((np.arange(10) % 2 == 0)[:, None, None, None], whole[0], whole[cap])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    store = Store(tmp_path / "run")
    for indices in SHARDS:
        rows, n = list(indices), len(indices)
        arrays = {
            "index": np.asarray(indices),
            "label": np.asarray(indices) % 3,
            "images": np.concatenate([pixels(0)[rows], pixels(1)[rows]]),
            "pick": np.stack([np.arange(n), n + np.arange(n)], axis=1),
            "reward": np.zeros((n, 2)),
            "ledger": np.zeros((n, 2, 5), np.int64),
            "failure": encode_lines([]),
        }
        store.write(f"shards/{indices.start:08d}.safetensors", arrays)
    return tmp_path / "run"


def export(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export_samples", *map(str, arguments)])
    export_samples.main()


@pytest.mark.parametrize(("words", "cap", "count"), [((), 1, 10), (("--cap", 0), 0, 10), (("--limit", 7), 1, 7)])
def test_export_samples_writes_every_shard_of_a_run(run, tmp_path: Path, monkeypatch, words, cap, count):
    export(monkeypatch, run, tmp_path / "x.npz", *words)
    (batch, labels), *more = open_images(str(tmp_path / "x.npz")).batches(100)
    np.testing.assert_array_equal(batch, pixels(cap)[:count])
    assert labels.tolist() == (np.arange(count) % 3).tolist()
    assert not more


def test_export_samples_folder_is_read_again_as_it_was(run, tmp_path: Path, monkeypatch):
    export(monkeypatch, run, tmp_path / "samples")
    ((batch, labels),) = open_images(str(tmp_path / "samples")).batches(100)
    np.testing.assert_array_equal(batch, pixels(1))
    assert labels.tolist() == (np.arange(10) % 3).tolist()
    export(monkeypatch, tmp_path / "samples", tmp_path / "x.npz")
    assert Npz(str(tmp_path / "x.npz")).shape == Folder(str(tmp_path / "samples"), channels=None).shape == (1, 6, 5)
    assert Image.open(tmp_path / "samples" / "00003_label0.png").mode == "L"


def test_run_images_say_cap_and_state(run, caplog):
    with caplog.at_level(logging.INFO):
        open_images(str(run), cap=0)
    assert "10 images of 6x5 in grey, at cap 0 of 0 to 1, of a run that is not finished" in caplog.text


def test_run_images_refuse_a_missing_shard_and_a_missing_cap(run):
    with pytest.raises(ValueError, match=r"cap is 2, and .* has 2"):
        RunImages(run, 2)
    (run / "shards" / "00000004.safetensors").unlink()
    with pytest.raises(ValueError, match=r"image 4 of .* is in no shard, and later ones are"):
        RunImages(run)
