"""What a run keeps of each image for paired differences."""

import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from its.metric.accuracy import Accuracy
from its.metric.features import Features
from its.run.measure import per_image_effects
from tests.build import make_experiment


def test_accuracy_of_each_image_is_the_held_out_classifiers():
    """Inception's own logits, which `logits` then are, know nothing of the dataset's classes."""
    right = np.array([True, False, True, True])
    labels = np.array([2, 0, 1, 0])
    classes = np.eye(3, dtype=np.float32)[np.where(right, labels, (labels + 1) % 3)]
    sample = Features(np.eye(4, dtype=np.float32), np.zeros((4, 1008), dtype=np.float32), labels, classes=classes)
    said = per_image_effects(sample, sample.moments, Accuracy()(sample))
    np.testing.assert_array_equal(said["accuracy"], right)


def test_per_image_numbers_add_up_to_the_curves(tmp_path):
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
