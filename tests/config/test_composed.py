"""One function composes, and what it gives is what Hydra gives a job."""

from its.config.composed import composed, composed_sweep, first_values


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


def test_first_values_replaces_sweeps():
    assert first_values(["search=none,random", "seed=range(2,5)", "budget.nfe=[1,2]"]) == [
        "search=none",
        "seed=2",
        "budget.nfe=[1,2]",
    ]
