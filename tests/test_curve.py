"""What a run keeps of each image for paired differences."""

import math

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.end_to_end.runs import make_experiment


def test_per_image_numbers_add_up_to_the_curves(tmp_path):
    run = make_experiment(tmp_path, "images=80", "shard=40", "sampler.steps=4", "budget.samplings=[1,2]", "batch=32",
                          "~metric.kid", "~metric.prc")
    rows = run.run()
    said = load_file(run.folder / "per_image.safetensors")
    assert {name: array.shape for name, array in said.items()} == {"fid": (80, 2), "accuracy": (80, 2)}
    for cap, row in enumerate(rows):
        effects = said["fid"][:, cap].astype(np.float64)
        assert math.sqrt(np.sum(effects**2) / (80 * 79)) == pytest.approx(row["fid_se"], rel=1e-5)
        assert said["accuracy"][:, cap].mean() == pytest.approx(row["accuracy"])
