"""A verifier that knows nothing leaves FID where plain sampling has it."""

import numpy as np
import pytest

ONLY_FID = ("~metric.kid", "~metric.isc", "~metric.prc")


def fid(experiment, seeds: int, *overrides: str) -> np.ndarray:
    """FID at every cap, one row for each seed."""
    return np.array(
        [
            [row["fid"] for row in experiment("runs", f"seed={seed}", *ONLY_FID, *overrides).run()]
            for seed in range(seeds)
        ]
    )


@pytest.mark.parametrize(
    ("seeds", "images", "samplings"),
    [
        (5, 200, "[1,4]"),
        pytest.param(10, 1000, "[1,2,4,8]", marks=pytest.mark.long),
    ],
)
def test_null_rewards_leave_fid_unchanged(experiment, seeds, images, samplings):
    size = (f"images={images}", f"shard={images}", "sampler.steps=5", f"budget.samplings={samplings}")
    plain = fid(experiment, seeds, "search=none", *size)
    searched = fid(experiment, seeds, "search=random", "verifier=null_rewards", *size)
    difference = searched - plain
    assert np.array_equal(searched[:, 0], plain[:, 0]), "the first candidate is the plain sampling"
    error = difference[:, 1:].std(axis=0, ddof=1) / np.sqrt(seeds)
    assert np.all(np.abs(difference[:, 1:].mean(axis=0)) < 3 * error)


def test_classifier_rewards_raise_fid_of_random_search(experiment):
    size = ("images=200", "shard=200", "sampler.steps=5", "budget.samplings=[1,4]")
    difference = np.diff(fid(experiment, 5, "search=random", *size), axis=1)
    assert difference.mean() > 3 * difference.std(ddof=1) / np.sqrt(5)
