"""The cases of the contract: every search of `conf/search`, found by glob, under every setting that it admits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
import yaml

from its.config.instantiate import CHOICES, instantiate
from its.dataset.mixture import Mixture
from its.guidance.guidance import Guidance
from its.model.mixture import MixtureDenoiser
from its.sampler.ddim import DDIM
from its.sampler.dpmpp_2m import DPMpp2M
from its.sampler.euler import Euler
from its.sampler.flow_cps import FlowCPS
from its.sampler.flow_grpo import FlowGRPO
from its.sampler.flow_renoise import FlowRenoise
from its.sampler.flow_vp import FlowVP
from its.sampler.heun import Heun
from its.sampler.sampler import Sampler
from its.sampler.sit_sde import SiTSDE
from its.search.search import Search
from tests.build import CONF
from tests.conftest import Lab

CASES: dict[str, dict[str, dict[str, Any]]] = {
    "random": {"": {"block": 3}},
    "zero_order": {f"-{pivot}": {"neighbors": 3, "pivot": pivot} for pivot in ("paper", "keep", "peer")},
    "bfs_resample": {"": {"temperature": 0.02}, "-collapse": {"temperature": 10.0}, "-0": {"temperature": 0.0}},
    "bfs_prune": {"": {"temperature": 0.02}},
    "dfs": {"": {"start": 0.25, "depth": 0.25, "step_size": 0.25}},
    "svdd": {"": {}, "-every": {"every": 0.3}},
    "beam": {"": {"beams": 3, "every": 2}},
    "fk": {
        "": {},
        "-diff": {"strength": 1.0, "potential": "diff", "resampler": "systematic", "final": "sample"},
        "-add": {"strength": 0.1, "potential": "add", "resampler": "ssp", "final": "sample", "ess": 1.0},
    },
    "ses": {"": {"population": 3, "elites": 2}},
    "snes": {"": {"population": 3}},
    "paths": {"": {"paths": 3, "steps": 0.5}},
    "rbf": {"": {}, "-pool": {"pool": 0.3}},
    "eps_greedy": {"": {"candidates": 2}},
    "treeg": {"": {"proposals": 3}},
    "trs": {"": {"warmup": 3, "batch": 2, "regions": 2}},
}
"""Parameters that suit the mixture's rewards and small caps; a YAML that is not named here is tried as it stands."""


def searches() -> dict[str, Search]:
    """Return every search of images by the name of its case."""
    cases: dict[str, Search] = {}
    for path in sorted(CONF.glob("search/*.yaml")):
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "_target_" not in node:  # a preset of another one
            continue
        search = instantiate({key: value for key, value in node.items() if key != "smoke"}, CHOICES)
        if search.makes == "images":
            for suffix, values in CASES.get(path.stem, {"": {}}).items():
                cases[path.stem + suffix] = replace(cast(Any, search), **values)
    return cases


SEARCHES = searches()


def goes_with(name: str, guidance: Guidance) -> bool:
    """Whether a search runs under a guidance: one that proposes guesses does not under one through the network."""
    return guidance.needs != "network" or not SEARCHES[name].proposes_guesses


@dataclass(frozen=True)
class Setting:
    """A model and a sampler; one sampling costs at most 25 NFE."""

    sampler: Sampler
    path: str = "vp"
    scale: float = 1.0

    def model(self, lab: Lab, kind: type[MixtureDenoiser] = MixtureDenoiser) -> MixtureDenoiser:
        return lab.denoiser(path=self.path, scale=self.scale, kind=kind)


SETTINGS: dict[str, Setting] = {
    "ddim-eta0": Setting(DDIM(steps=10, eta=0.0)),
    "ddim-eta1": Setting(DDIM(steps=10, eta=1.0)),
    "ddim-eta1-guided": Setting(DDIM(steps=8, eta=1.0), scale=2.0),
    "euler-flow": Setting(Euler(steps=10), path="flow"),
    "heun": Setting(Heun(steps=6, spacing="linspace")),
    "heun-guided": Setting(Heun(steps=6, spacing="linspace"), scale=2.0),
    "euler-guided": Setting(Euler(steps=10), scale=2.0),
}

FLOW_NOISES: dict[str, Setting] = {
    "flow_renoise": Setting(FlowRenoise(steps=10), path="flow"),
    "flow_grpo": Setting(FlowGRPO(steps=10), path="flow"),
    "flow_cps": Setting(FlowCPS(steps=10), path="flow"),
    "sit_sde": Setting(SiTSDE(steps=10), path="flow"),
    "flow_vp": Setting(FlowVP(steps=10, spacing="linear"), path="flow"),
}

FURTHER: dict[str, Setting] = {"dpmpp_2m": Setting(DPMpp2M(steps=10)), **FLOW_NOISES}
"""Settings that every test of a setting has too: by default on plain models with few searches, else `long`."""


WORLDS = {
    "plain": Lab(),
    "interval": Lab(Mixture(std=0.5), interval=(0.25, 0.65)),
    "latent": Lab(latent=True),
}
"""What every test of this folder runs in: components overlap in the second, where even unguided rows know theirs."""


@pytest.fixture(params=WORLDS)
def lab(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    """The laboratory of each world; on one thread, as the one that it takes the place of."""
    return WORLDS[request.param]


SLICE = {
    "interval": {"random", "svdd", "dfs", "paths", "evosearch", "more_steps"},
    "latent": {"random", "svdd"},
}
"""Searches that run in the worlds that are not plain by default, under one setting; all others are `long`."""

FEW = {"random", "dfs", "paths", "svdd"}
"""Searches that run by default under the settings of `FURTHER`."""

FEW_TESTS = {"test_ledger_equals_the_counted_work_without_padding", "test_advance_in_pieces_equals_one_advance"}
"""Tests that run by default under those of `FLOW_NOISES`."""

NOT_OF_LATENTS = {"test_anytime", "test_occupancy", "test_verifier_calls"}
"""Modules whose other tests are `long` in that world: a decoder has little part in them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark what the default tier leaves out."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        world = params.get("lab")
        setting = params.get("setting", params.get("some_setting"))
        if setting in FURTHER.values():
            many = "search" in params and _search(item.name, world) not in FEW
            if world in SLICE or many or (setting in FLOW_NOISES.values() and item.originalname not in FEW_TESTS):
                item.add_marker("long")
            continue
        if world not in SLICE:
            continue
        elsewhere = world == "latent" and item.path.stem in NOT_OF_LATENTS
        if not _in_slice(item.name, world) if "search" in params else elsewhere:
            item.add_marker("long")


def _in_slice(name: str, world: str) -> bool:
    """Whether a test of one search under one setting runs by default in a world: the ledger's more often."""
    test, _, case = name.removesuffix("]").partition(f"[{world}-")
    search = _search(name, world)
    if test.startswith("test_ledger_equals") and world == "interval":
        return case in (f"{search}-ddim-eta1", f"{search}-heun", f"{search}-euler-flow")
    return case == f"{search}-ddim-eta1" and search in SLICE[world]


def _search(name: str, world: str) -> str:
    """The search of a test's case."""
    return name.partition(f"[{world}-")[2].partition("-")[0]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`search` and `setting` run over all pairs that go together; the last two of `SETTINGS` only beside
    `every_setting`, and the first two alone beside `two_settings`.
    `anytime_only` leaves out planned searches, which run once for each cap; `of_calls` those that cannot plan for
    verifier calls, and `planned_of_calls` anytime searches as well.

    `some_setting` runs over the settings alone.
    """
    if "some_setting" in metafunc.fixturenames:
        settings = SETTINGS | FURTHER
        metafunc.parametrize("some_setting", settings.values(), ids=list(settings))
    if not {"search", "setting"} <= set(metafunc.fixturenames):
        return
    every = "every_setting" in metafunc.fixturenames
    number = 2 if "two_settings" in metafunc.fixturenames else len(SETTINGS) if every else 5
    settings = dict(list(SETTINGS.items())[:number]) | FURTHER
    pairs = [
        pytest.param(search, setting, id=f"{search_name}-{setting_name}")
        for search_name, search in SEARCHES.items()
        for setting_name, setting in settings.items()
        if (setting.sampler.stochastic or not search.needs_noise)
        and (search.anytime or "anytime_only" not in metafunc.fixturenames)
        and (search_name != "more_steps" or not {"of_calls", "planned_of_calls"} & set(metafunc.fixturenames))
        and not (search.anytime and "planned_of_calls" in metafunc.fixturenames)
    ]
    metafunc.parametrize(("search", "setting"), pairs)


@pytest.fixture
def every_setting() -> None:
    """Asks for all settings."""


@pytest.fixture
def two_settings() -> None:
    """Asks for eta 0 and 1 alone, of the first settings."""


@pytest.fixture
def anytime_only() -> None:
    """Asks for anytime searches."""


@pytest.fixture
def of_calls() -> None:
    """Asks for searches that serve caps in verifier calls."""


@pytest.fixture
def planned_of_calls() -> None:
    """Asks for planned ones of these."""
