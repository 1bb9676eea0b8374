"""Random rewards leave the law of the images what plain sampling makes it, under every method that claims so.

Not `ses`, `snes` and `trs`, whose norm drifts, not `treeg`, which steps from noisy guesses, and not `dfs`, `paths` and
`evosearch`: see docs/methods.md.

The statistic is the largest difference of 37 mean features of 3,000 images at 4 samplings, in standard errors. By
chance it exceeds 4.2 once in 1,000 methods; a feature that moves by 0.15 of its standard deviation is found in 95 cases
of 100.
"""

import numpy as np
import pytest

from its.sampler.ddim import DDIM
from its.search.beam import Beam
from its.search.bfs_prune import BFSPrune
from its.search.bfs_resample import BFSResample
from its.search.eps_greedy import EpsGreedy
from its.search.fk import FK
from its.search.none import NoSearch
from its.search.random import Random
from its.search.rbf import RBF
from its.search.ses import SES
from its.search.svdd import SVDD
from its.search.zero_order import ZeroOrder
from its.verifier.null_rewards import NullRewards

STEPS = 40
"""In 10, the images lie so close to the means of the components that a spread of x_T is not seen in them."""
ANCESTRAL, DETERMINISTIC = DDIM(steps=STEPS, eta=1.0), DDIM(steps=STEPS, eta=0.0)
UNBIASED = {
    "random": (Random(), DETERMINISTIC),
    "zero_order-paper": (ZeroOrder(pivot="paper"), DETERMINISTIC),
    "zero_order-keep": (ZeroOrder(pivot="keep"), DETERMINISTIC),
    "zero_order-peer": (ZeroOrder(pivot="peer"), DETERMINISTIC),
    "bfs_resample": (BFSResample(temperature=10.0), ANCESTRAL),
    "bfs_prune": (BFSPrune(temperature=10.0), ANCESTRAL),
    "svdd": (SVDD(), ANCESTRAL),
    "beam": (Beam(), ANCESTRAL),
    **{
        f"fk-{potential}-{final}": (FK(potential=potential, final=final, resampler=resampler), ANCESTRAL)
        for potential, resampler, final in (
            ("max", "multinomial", "best"),
            ("diff", "systematic", "sample"),
            ("add", "ssp", "sample"),
            ("rt", "ssp", "best"),
        )
    },
    "rbf": (RBF(), ANCESTRAL),
    "eps_greedy": (EpsGreedy(), ANCESTRAL),
}


def law(lab, search, sampler, seed: int = 0, verifier=None, images: int = 3000, samplings: int = 4) -> np.ndarray:
    """Features of a run's images: pixels, their squares, nearest component and distance to it."""
    engine = lab.engine(sampler, None, verifier or NullRewards(), seed=seed, batch=256)
    results = lab.results(engine, search, (samplings * STEPS,), range(images))
    pixels = np.stack([result.outcomes[0].image.ravel() for result in results.values()]) / 127.5 - 1
    distance = np.square(pixels[:, None] - lab.data.means).mean(axis=2)
    nearest = np.eye(lab.data.classes)[distance.argmin(axis=1)]
    return np.hstack([pixels, pixels**2, nearest, distance.min(axis=1, keepdims=True)])


def furthest(found: np.ndarray, plain: np.ndarray) -> float:
    """The largest difference of a feature's mean, in standard errors."""
    error = np.sqrt(found.var(axis=0) / len(found) + plain.var(axis=0) / len(plain))
    return float((np.abs(found.mean(axis=0) - plain.mean(axis=0)) / error).max())


@pytest.fixture(scope="module")
def plain(lab) -> dict:
    """Features of plain samplings of other noise."""
    return {sampler: law(lab, NoSearch(), sampler, seed=1) for sampler in (ANCESTRAL, DETERMINISTIC)}


@pytest.mark.long
@pytest.mark.parametrize("name", UNBIASED)
def test_null_rewards_do_not_move_the_law_of_unbiased_searches(lab, plain, name):
    search, sampler = UNBIASED[name]
    assert furthest(law(lab, search, sampler), plain[sampler]) < 4.2


class Brightness:
    """Of one pixel."""

    absolute = True

    def reward(self, images, conditions):
        return images[:, 0, 0, 0].double()


@pytest.mark.long
def test_random_moves_the_law_under_an_informative_verifier(lab, plain):
    assert furthest(law(lab, Random(), DETERMINISTIC, verifier=Brightness(), images=500), plain[DETERMINISTIC]) > 4.2


@pytest.mark.long
def test_ses_moves_the_law_under_random_rewards(lab, plain):
    """Five generations; from the second on they are drawn around elites."""
    assert furthest(law(lab, SES(), DETERMINISTIC, images=300, samplings=50), plain[DETERMINISTIC]) > 4.2
