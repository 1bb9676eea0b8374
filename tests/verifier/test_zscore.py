"""Standardised members: one absolute number, from statistics that are measured beforehand."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from its.verifier.classifier import Classifier
from its.verifier.null_rewards import NullRewards
from its.verifier.zscore import ZScore
from tests.build import CONF, make_experiment

IMAGES = torch.linspace(-1, 1, 5 * 16).reshape(5, 1, 4, 4)


def test_zscore_is_the_mean_of_standardised_rewards(lab):
    members = {"b": Classifier(lab.data.logits), "a": NullRewards()}
    found = ZScore(members, {"a": [0.5, 0.25], "b": [-30.0, 12.0]}).reward(IMAGES, [0] * 5).numpy()
    a, b = (members[name].reward(IMAGES, [0] * 5).numpy() for name in "ab")
    np.testing.assert_allclose(found, ((a - 0.5) / 0.25 + (b + 30.0) / 12.0) / 2, rtol=1e-12)


@pytest.mark.parametrize(
    ("statistics", "named"),
    [
        (None, "a"),
        ({"a": [0.0, 1.0]}, "b"),
        ({"a": [0.0, 1.0], "b": [0.0, 0.0]}, "b"),
        ({"a": [0.0], "b": [0.0, 1.0]}, "a"),
        ({"a": [0.0, 1.0], "b": [float("nan"), 1.0]}, "b"),
        ({"a": [0.0, 1.0], "b": [0.0, 1.0], "c": [0.0, 1.0]}, "c"),
    ],
)
def test_zscore_refuses_incomplete_statistics(statistics, named):
    with pytest.raises(ValueError, match=rf"verifier\.statistics\.{named} is .* give \[mean, standard deviation"):
        ZScore({"a": NullRewards(), "b": NullRewards(1)}, statistics)


def test_zscore_runs_on_statistics_measured_by_its_script(tmp_path):
    small = (
        "images=40",
        "shard=25",
        "sampler.steps=3",
        "~metric.kid",
        "~metric.prc",
        "~metric.isc",
        "budget.samplings=[1]",
    )
    plain = make_experiment(tmp_path, "search=none", "verifier=ensemble", *small)
    [row] = plain.run()
    assert "reward_mean" not in row
    done = subprocess.run(
        [sys.executable, "scripts/standardize.py", str(plain.folder)],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    choice, statistics = done.stdout.strip().replace('"', "").split(" ")
    scored = make_experiment(tmp_path, "search=none", choice, statistics, *small)
    [standard] = scored.run()
    assert standard["reward_mean"] == pytest.approx(0.0, abs=1e-5), "each member's mean is taken off"
    assert f"a:[{row['reward_a_mean']:.6g},{row['reward_a_mean_se'] * 40**0.5:.6g}]" in statistics
    assert make_experiment(tmp_path, "search=fk", choice, statistics).search.needs_absolute
