"""One function composes, and what it gives is what Hydra gives a job."""

import pytest
from hydra.errors import HydraException

from its.config.composed import composed, composed_sweep


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
