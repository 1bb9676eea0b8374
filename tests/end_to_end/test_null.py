"""A verifier that knows nothing leaves FID where plain sampling has it."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from its.sampler.ddim import DDIM
from its.search.bfs_resample import BFSResample
from its.search.none import NoSearch
from its.search.random import Random
from its.search.svdd import SVDD
from its.verifier.null_rewards import NullRewards
from tests.reference.test_guidance import MATRIX, Latent

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
        pytest.param(5, 200, "[1,4]", marks=pytest.mark.long),
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


@pytest.mark.long
def test_classifier_rewards_raise_fid_of_random_search(experiment):
    size = ("images=200", "shard=200", "sampler.steps=5", "budget.samplings=[1,4]")
    difference = np.diff(fid(experiment, 5, "search=random", *size), axis=1)
    assert difference.mean() > 3 * difference.std(ddof=1) / np.sqrt(5)


class Brightness:
    """Of the first channel."""

    absolute = True

    def reward(self, images, conditions):
        return images[:, 0].flatten(1).mean(1)


def latent_fid(lab, search, verifier, seed: int) -> float:
    """FID of 200 images, decoded by a linear decoder, whose exact moments are those of the latents, mapped."""
    engine = lab.engine(DDIM(steps=5, eta=1.0), Latent(lab.data), verifier, seed=seed, batch=128)
    results = lab.results(engine, search, (20,), range(200))
    assert all(result.outcomes[0].ledger["decoder_calls"] for result in results.values())
    images = np.stack([result.outcomes[0].image.transpose(2, 0, 1).ravel() for result in results.values()]) / 127.5 - 1
    mean, covariance = (torch.as_tensor(each) for each in lab.data.moments())
    a, b = np.cov(images.T), (MATRIX @ covariance @ MATRIX.T).numpy()
    shift = images.mean(axis=0) - (MATRIX @ mean + 0.1).numpy()
    return float(shift @ shift + np.trace(a + b) - 2 * np.trace(sqrtm(a @ b)).real)


SEARCHES = {"random": Random(), "svdd": SVDD(), "bfs_resample": BFSResample(temperature=10.0)}


@pytest.mark.parametrize("name", SEARCHES)
def test_null_rewards_leave_fid_unchanged_on_latents_of_a_linear_decoder(lab, name):
    plain = [latent_fid(lab, NoSearch(), NullRewards(), seed) for seed in range(6)]
    found = [latent_fid(lab, SEARCHES[name], NullRewards(), 100 + seed) for seed in range(6)]
    error = np.sqrt((np.var(plain, ddof=1) + np.var(found, ddof=1)) / 6)
    assert abs(np.mean(found) - np.mean(plain)) < 3.5 * error
    assert latent_fid(lab, SEARCHES[name], Brightness(), 0) > np.mean(plain) + 10 * np.std(plain, ddof=1)
