"""Every method beats plain sampling in mean reward, at equal NFE, over 200 problems of the mixture."""

import math

import numpy as np
import pytest

from its.sampler.ddim import DDIM
from its.search.beam import Beam
from its.search.bfs_prune import BFSPrune
from its.search.bfs_resample import BFSResample
from its.search.das import DAS
from its.search.dfs import DFS
from its.search.dlbs import DLBS
from its.search.dsearch import DSearch
from its.search.dts import DTS
from its.search.eps_greedy import EpsGreedy
from its.search.evosearch import EvoSearch
from its.search.fk import FK
from its.search.halving import Halving
from its.search.lidar import LiDAR
from its.search.more_steps import MoreSteps
from its.search.paths import Paths
from its.search.random import Random
from its.search.rbf import RBF
from its.search.reno import ReNO
from its.search.ses import SES
from its.search.snes import SNES
from its.search.svdd import SVDD
from its.search.tds import TDS
from its.search.treeg import TreeG
from its.search.trs import TRS
from its.search.ug_fm import UGFM
from its.search.zero_order import ZeroOrder
from its.verifier.classifier import Classifier

PROBLEMS = 200
CAP = 40
ANCESTRAL, DETERMINISTIC = DDIM(steps=10, eta=1.0), DDIM(steps=10, eta=0.0)


def rewards(lab, search, sampler) -> np.ndarray:
    guide = Classifier(lab.logits) if search.guidance or search.takes_gradients else None
    results = lab.results(lab.engine(sampler, batch=64, guide=guide), search, (CAP,), range(PROBLEMS))
    assert all(result.outcomes[0].ledger["nfe"] <= CAP for result in results.values())
    return np.array([results[index].outcomes[0].reward for index in range(PROBLEMS)])


@pytest.fixture(scope="module")
def plain(lab) -> dict:
    """The best use of the same budget without search: all of it in steps."""
    return {sampler: rewards(lab, MoreSteps(), sampler) for sampler in (ANCESTRAL, DETERMINISTIC)}


@pytest.mark.parametrize(
    ("search", "sampler"),
    [
        *(
            (search, ANCESTRAL)
            for search in (
                BFSResample(),
                BFSPrune(),
                DFS(),
                SVDD(),
                Beam(),
                Beam(beams=1, lookahead=2),
                DLBS(),
                DSearch(),
                FK(),
                FK(strength=1.0, potential="diff", resampler="ssp"),
                RBF(),
                EpsGreedy(),
                TreeG(),
                TDS(),
                DAS(),
                DTS(),
                DTS(greedy=True),
            )
        ),
        *(
            (search, DETERMINISTIC)
            for search in (
                *(Random(), ZeroOrder(), BFSPrune(), DFS(), SES(), SNES(), TRS(), Paths(), EvoSearch()),
                *(Halving(), LiDAR(), ReNO(rate=1.0), UGFM()),
            )
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, DDIM) else f"eta{value.eta:.0f}",
)
def test_search_gains_more_reward_than_more_steps_at_equal_budget(lab, plain, search, sampler):
    gain = rewards(lab, search, sampler) - plain[sampler]
    assert gain.mean() > 3 * gain.std() / math.sqrt(PROBLEMS)
