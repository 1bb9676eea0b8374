"""One function composes, and what it gives is what Hydra gives a job."""

import pytest
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from its.config.composed import NAME, GuardedLoader, composed, composed_sweep


def test_composed_keeps_hydra_apart():
    config, choices, overrides = composed(["search=none", "seed=3", "out_dir=/nowhere"])
    assert "hydra" not in config
    assert (config.seed, config.out_dir, choices["search"]) == (3, "/nowhere", "none")
    assert overrides == ("search=none", "seed=3")


def test_composed_sweep_takes_every_job():
    jobs = composed_sweep(["experiment=digits_hacking", "seed=0,1"], "device=cuda")
    assert [(job.choices["search"], job.config.seed) for job in jobs] == [
        (search, seed) for search in ("none", "more_steps", "random") for seed in (0, 1)
    ]
    assert {job.config.device for job in jobs} == {"cuda"}
    replaced = composed_sweep(["experiment=digits_hacking", "search=ses"])
    assert [job.choices["search"] for job in replaced] == ["ses"], "a value on the command line replaces the axis"


def test_composed_sweep_understands_every_discrete_sweep():
    jobs = composed_sweep(["seed=range(2,4)", "search=glob(s*,exclude=[schedule,s?dd])", "sampler.steps=choice(2,3)"])
    assert [(job.config.seed, job.choices["search"], job.config.sampler.steps) for job in jobs] == [
        (seed, search, steps) for seed in (2, 3) for search in ("ses", "snes") for steps in (2, 3)
    ]
    with pytest.raises(HydraException, match="INTERVAL_SWEEP"):
        composed_sweep(["seed=interval(0,1)"])


def test_loader_gives_the_same_configuration_again_and_lets_nobody_change_it(monkeypatch):
    loader = GuardedLoader([])
    first = loader.load_configuration(NAME, ["search=none"], RunMode.RUN)
    monkeypatch.setattr(OmegaConf, "load", None)
    again = loader.load_configuration(NAME, ["search=none"], RunMode.RUN)
    assert again == first
    again.seed = 5
    assert loader.load_configuration(NAME, ["search=none"], RunMode.RUN) == first
    assert loader.load_configuration(NAME, ["search=none", "seed=3"], RunMode.RUN).seed == 3, "no file is read twice"


def test_loader_reads_a_choice_of_other_places_apart(tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "other.yaml").write_text("_target_: its.search.random.Random\nblock: 3\n")
    words = ["search=other", f"hydra.searchpath=[file://{tmp_path}]"]
    loader = GuardedLoader(words)
    assert loader.load_configuration(NAME, words, RunMode.RUN).search.block == 3
    with pytest.raises(ValueError, match="there is no search=other"):
        loader.load_configuration(NAME, words[:1], RunMode.RUN)
