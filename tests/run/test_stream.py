"""Measuring is a stream: each file is read once, no image is held, and a killed job has measured what it has made."""

import gc
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from its.disk import store
from its.run import spool
from its.run.stock import Stock
from tests.build import make_experiment

WORDS = (
    "dataset=mixture",
    "model=mixture",
    "search=random",
    "sampler.steps=2",
    "budget.samplings=[1,2]",
    "batch=16",
    "metric=fid",
)


@pytest.fixture
def reads(monkeypatch):
    """How often each file of arrays was read."""
    counts, read = Counter(), store.read_file

    def counted(path):
        content = read(path)
        name = str(path)
        if content is not None and ("/shards/" in name or "/features/" in name):
            counts[name] += 1
        return content

    monkeypatch.setattr(store, "read_file", counted)
    return counts


def test_experiment_reads_each_file_once(lab, tmp_path, reads):
    """Of 200 shards: a first run reads none; resuming, extending and measuring anew read each once."""
    words = (*WORDS, "shard=1")
    make_experiment(tmp_path, *words, "images=190").run()
    assert not reads

    # Extend.
    make_experiment(tmp_path, *words, "images=200").run()
    assert (len(reads), set(reads.values())) == (380, {1})

    # Resume what lost a shard, and some features.
    reads.clear()
    run = make_experiment(tmp_path, *words, "images=200")
    (run.folder / "shards/00000007.safetensors").unlink()
    for path in run.folder.glob("features/*/0000005*"):
        path.unlink()
    run.run()
    assert (len(reads), set(reads.values())) == (388, {1})

    # Measure anew.
    reads.clear()
    make_experiment(
        tmp_path, *words, "images=200", "~metric.fid", "+metric.isc._target_=its.metric.isc.InceptionScore"
    ).run()
    assert (len(reads), set(reads.values())) == (400, {1})


def test_experiment_has_measured_what_it_has_made(lab, tmp_path):
    run = make_experiment(tmp_path, *WORDS, "shard=5", "images=15")
    problems = run.engine.run

    def killed(*args):
        for k, result in enumerate(problems(*args)):
            if k == 12:
                raise KeyboardInterrupt
            yield result

    run.engine.run = killed
    with pytest.raises(KeyboardInterrupt):
        run.run()
    made = [path.name for path in sorted(run.folder.glob("shards/*"))]
    assert 1 <= len(made) <= 2
    assert [path.name for path in sorted(run.folder.glob("features/*/*"))] == made


def test_stock_gathers_one_cap_from_memory_and_from_a_file(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    features = {first: rng.standard_normal((6, 3)).astype(np.float32) for first in (0, 4)}
    picks = {0: np.array([[0, 0], [1, 2], [3, 3], [4, 5]]), 4: np.array([[5, 4], [3, 2]])}
    for size in (1 << 20, 8):
        monkeypatch.setattr(spool, "SPOOL_BYTES", size)
        stock = Stock(tmp_path)
        for first in (4, 0, 4):
            n = len(picks[first])
            images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1) + first
            shard = {"index": np.arange(first, first + n), "pick": picks[first], "images": images}
            stock.take(range(first, first + n), shard, {"features": features[first]})
        for cap in (0, 1):
            rows = np.array([(k, row) for k, first in enumerate((0, 4)) for row in picks[first][:, cap]])
            expected = np.concatenate([features[first][picks[first][:, cap]] for first in (0, 4)])
            np.testing.assert_array_equal(stock.features(rows)["features"], expected)
            shown = [first + row for first in (0, 4) for row in picks[first][:, cap]]
            assert stock.shown(cap).ravel().tolist() == shown
        assert not list(tmp_path.iterdir())


def test_stock_holds_no_images_but_those_that_are_shown(tmp_path):
    stock, images = Stock(tmp_path), 0
    tracemalloc.start()
    for first in range(0, 1000, 50):
        pick = np.arange(100).reshape(50, 2)
        shard = {"index": np.arange(first, first + 50), "pick": pick, "images": np.zeros((100, 64, 64, 3), np.uint8)}
        images += shard["images"].nbytes
        stock.take(range(first, first + 50), shard, {"features": np.zeros((100, 4), np.float32)})
    del shard
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < images / 10 + 2e6, "a tenth of the problems are shown"
