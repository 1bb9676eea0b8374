"""Measuring is a function of arrays; what a run keeps of each image serves paired differences."""

import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from its.budget import COLUMNS
from its.metric.accuracy import Accuracy
from its.metric.features import Features, Moments
from its.metric.reference import Reference
from its.run.measure import measure, per_image_effects, seconds_per_image
from its.run.stock import Stock
from tests.build import make_experiment


def test_per_image_effects_read_accuracy_from_the_held_out_classifier():
    """Inception's own logits, which `logits` then are, know nothing of the dataset's classes."""
    right = np.array([True, False, True, True])
    labels = np.array([2, 0, 1, 0])
    classes = np.eye(3, dtype=np.float32)[np.where(right, labels, (labels + 1) % 3)]
    sample = Features(np.eye(4, dtype=np.float32), np.zeros((4, 1008), dtype=np.float32), labels, classes=classes)
    said = per_image_effects(sample, sample.moments, Accuracy()(sample))
    np.testing.assert_array_equal(said["accuracy"], right)


def shard(indices: range, ledger: list[int]):
    """Two caps, with the NFE of each; the image is the same at both."""
    n = len(indices)
    return indices, {
        "index": np.asarray(indices),
        "label": np.zeros(n, np.int64),
        "images": np.zeros((n, 2, 2, 1), np.uint8),
        "pick": np.stack([np.arange(n)] * 2, axis=1),
        "reward": np.arange(2.0 * n).reshape(n, 2),
        "ledger": np.stack([np.full((n, len(COLUMNS)), nfe) for nfe in ledger], axis=1),
    }


def test_measure_averages_costs_and_computes_each_metric_once(tmp_path):
    """Costs are means per image, FLOPs their sum by column; a metric is computed once for the same images."""
    calls = []

    class Count:
        reads, against = "features", "nothing"

        def __call__(self, sample, reference):
            calls.append(len(sample.features))
            return {"count": float(len(sample.features))}

    shards = [shard(range(3), [2, 5]), shard(range(3, 5), [2, 5])]
    stock = Stock(tmp_path)
    for indices, arrays in reversed(shards):
        part = np.eye(len(indices), 4, dtype=np.float32)
        stock.take(indices, arrays, {"features": part, "logits": part})
    reference = Reference(Moments.of(np.eye(6, 4, dtype=np.float32)))
    flops = {column: 10**k for k, column in enumerate(COLUMNS)}
    curve = measure((7, math.inf), stock, [Count()], reference, flops=flops)
    assert [row["nfe_cap"] for row in curve.rows] == [7, None]
    assert [row["flops"] for row in curve.rows] == [2 * 111111, 5 * 111111]
    assert [row["images"] for row in curve.rows] == [5, 5]
    assert [row["reward_mean"] for row in curve.rows] == pytest.approx([8 / 5, 13 / 5])
    assert "seconds" not in curve.rows[0]
    assert calls == [5]


def test_seconds_per_image_are_shared_among_caps_by_nfe():
    shards = [shard(range(2), [2, 6]), shard(range(2, 4), [2, 6])]
    notes = [
        {"first": 0, "images": 2, "seconds": 100.0},
        {"nothing": 1},
        {"first": 2, "images": 2, "seconds": 9.0},
        {"first": 0, "images": 2, "seconds": 3.0},
    ]
    assert seconds_per_image(shards, notes, anytime=True) == pytest.approx([1.0, 3.0])
    assert seconds_per_image(shards, notes, anytime=False) == pytest.approx([0.75, 2.25])


def test_per_image_file_adds_up_to_the_curve(tmp_path):
    run = make_experiment(
        tmp_path,
        "images=80",
        "shard=40",
        "sampler.steps=4",
        "budget.samplings=[1,2]",
        "batch=32",
        "~metric.kid",
        "~metric.prc",
    )
    rows = run.run()
    said = load_file(run.folder / "per_image.safetensors")
    assert {name: array.shape for name, array in said.items()} == {"fid": (80, 2), "accuracy": (80, 2)}
    for cap, row in enumerate(rows):
        effects = said["fid"][:, cap].astype(np.float64)
        assert math.sqrt(np.sum(effects**2) / (80 * 79)) == pytest.approx(row["fid_se"], rel=1e-5)
        assert said["accuracy"][:, cap].mean() == pytest.approx(row["accuracy"])
