"""The cases of the contract: every search under every setting that it admits.

A new method adds one line to SEARCHES.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.sampler.euler import Euler
from its.sampler.heun import Heun
from its.sampler.sampler import Sampler
from its.search.beam import Beam
from its.search.bfs_prune import BFSPrune
from its.search.bfs_resample import BFSResample
from its.search.dfs import DFS
from its.search.eps_greedy import EpsGreedy
from its.search.evosearch import EvoSearch
from its.search.fk import FK
from its.search.more_steps import MoreSteps
from its.search.none import NoSearch
from its.search.paths import Paths
from its.search.random import Random
from its.search.rbf import RBF
from its.search.search import Search
from its.search.ses import SES
from its.search.snes import SNES
from its.search.svdd import SVDD
from its.search.zero_order import ZeroOrder

SEARCHES: dict[str, Search] = {
    "none": NoSearch(),
    "more_steps": MoreSteps(),
    "random": Random(block=3),
    "zero_order-paper": ZeroOrder(neighbors=3, pivot="paper"),
    "zero_order-keep": ZeroOrder(neighbors=3, pivot="keep"),
    "zero_order-peer": ZeroOrder(neighbors=3, pivot="peer"),
    "bfs_resample": BFSResample(temperature=0.02),
    "bfs_resample-collapse": BFSResample(temperature=10.0),
    "bfs_resample-0": BFSResample(temperature=0.0),
    "bfs_prune": BFSPrune(temperature=0.02),
    "dfs": DFS(start=0.25, depth=0.25, step_size=0.25),
    "svdd": SVDD(),
    "svdd-every": SVDD(every=0.3),
    "beam": Beam(beams=3, every=2),
    "fk": FK(),
    "fk-diff": FK(strength=1.0, potential="diff", resampler="systematic", final="sample"),
    "fk-add": FK(strength=0.1, potential="add", resampler="ssp", final="sample", ess=1.0),
    "ses": SES(population=3, elites=2),
    "snes": SNES(population=3),
    "paths": Paths(paths=3, steps=0.5),
    "rbf": RBF(),
    "rbf-pool": RBF(pool=0.3),
    "evosearch": EvoSearch(),
    "eps_greedy": EpsGreedy(candidates=2),
}


@dataclass(frozen=True)
class Setting:
    """A model and a sampler; one sampling costs at most 25 NFE."""

    sampler: Sampler
    path: str = "vp"
    scale: float = 1.0

    @property
    def slots(self) -> int:
        return 1 if self.scale == 1.0 else 2

    def model(self, lab) -> MixtureDenoiser:
        return lab.denoiser(path=self.path, scale=self.scale)


SETTINGS: dict[str, Setting] = {
    "ddim-eta0": Setting(DDIM(steps=10, eta=0.0)),
    "ddim-eta1": Setting(DDIM(steps=10, eta=1.0)),
    "ddim-eta1-guided": Setting(DDIM(steps=8, eta=1.0), scale=2.0),
    "euler-flow": Setting(Euler(steps=10), path="flow"),
    "heun": Setting(Heun(steps=6, spacing="linspace")),
    "heun-guided": Setting(Heun(steps=6, spacing="linspace"), scale=2.0),
    "euler-guided": Setting(Euler(steps=10), scale=2.0),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`search` and `setting` run over all pairs that go together; the last two settings only beside `every_setting`.
    `anytime_only` leaves out planned searches, which run once for each cap.

    `some_setting` runs over the settings alone.
    """
    if "some_setting" in metafunc.fixturenames:
        metafunc.parametrize("some_setting", SETTINGS.values(), ids=list(SETTINGS))
    if not {"search", "setting"} <= set(metafunc.fixturenames):
        return
    settings = SETTINGS if "every_setting" in metafunc.fixturenames else dict(list(SETTINGS.items())[:5])
    pairs = [
        pytest.param(search, setting, id=f"{search_name}-{setting_name}")
        for search_name, search in SEARCHES.items()
        for setting_name, setting in settings.items()
        if (setting.sampler.stochastic or not search.needs_noise)
        and (search.anytime or "anytime_only" not in metafunc.fixturenames)
    ]
    metafunc.parametrize(("search", "setting"), pairs)


@pytest.fixture
def every_setting() -> None:
    """Asks for all settings."""


@pytest.fixture
def anytime_only() -> None:
    """Asks for anytime searches."""
