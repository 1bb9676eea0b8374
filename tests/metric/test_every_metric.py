"""What holds for all metrics: finite numbers from awkward sets, the same again, and silence."""

import math
import subprocess
import sys

import numpy as np
import pytest

from its.metric.accuracy import Accuracy
from its.metric.features import Features
from its.metric.fid import Fid
from its.metric.isc import InceptionScore
from its.metric.kid import Kid
from its.metric.prc import PrecisionRecall

COLUMNS = {
    Accuracy(): {"accuracy", "accuracy_se"},
    Fid(): {"fid", "fid_se"},
    InceptionScore(splits=2): {"isc", "isc_se"},
    Kid(subsets=5): {"kid", "kid_se"},
    PrecisionRecall(): {"precision", "precision_se", "recall"},
}


def awkward(kind: str, seed: int) -> Features:
    rng = np.random.default_rng(seed)
    features, logits = rng.standard_normal((12, 6)), rng.standard_normal((12, 3))
    if kind == "constant":
        features, logits = np.full((12, 6), 0.1), np.full((12, 3), 0.1)
    elif kind == "zero":
        features, logits = np.zeros((12, 6)), np.zeros((12, 3))
    elif kind == "few":
        features, logits = features[:4], logits[:4]
    elif kind == "copies":
        features, logits = features[[0, 1] * 6], logits[[0, 1] * 6]
    elif kind == "huge":
        features, logits = features * 1e20, logits * 1e30
    elif kind == "tiny":
        features, logits = features * 1e-30, logits * 1e-30
    elif kind == "line":
        features = features[:, :1] * np.ones(6)
    labels = rng.integers(0, 3, len(features))
    return Features(features.astype(np.float32), logits.astype(np.float32), labels)


KINDS = ("plain", "constant", "zero", "few", "copies", "huge", "tiny", "line")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", COLUMNS, ids=lambda metric: type(metric).__name__)
@pytest.mark.parametrize("sample", KINDS)
@pytest.mark.parametrize("reference", KINDS)
def test_every_metric_is_finite_and_repeatable_on_awkward_sets(metric, sample, reference, capfd) -> None:
    made, real = awkward(sample, seed=0), awkward(reference, seed=1)
    found = metric(made, real)
    assert set(found) == COLUMNS[metric]
    assert all(type(value) is float and math.isfinite(value) for value in found.values())
    assert all(value >= 0 for name, value in found.items() if name.endswith("_se"))
    assert metric(made, real) == found
    assert metric(made, made).keys() == found.keys()
    assert capfd.readouterr() == ("", "")


def test_every_metric_imports_nothing_heavy_before_its_call() -> None:
    modules = "accuracy, features, fid, isc, kid, prc"
    check = (
        f"import sys; from its.metric import {modules}; isc.InceptionScore(); kid.Kid(); "
        "print([m for m in ('torch', 'torch_fidelity', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
