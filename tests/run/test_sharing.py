"""Runs of one process share the networks that both name, and have the bits that each has alone."""

import functools
import gc
import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from its.config.shelf import Shelf
from its.run.build import build
from its.types import Problem
from tests.build import CONF, blueprint_of, contents, obstruct

DIGITS = ("images=6", "shard=4", "sampler.steps=3", "batch=4", "~metric.kid", "~metric.prc", "~metric.isc")
TWINS = ("smoke=true", "images=2", "sampler.steps=2", "dataset=prompt", "prompt='a cat'", "verifier=clip_score")

RUNS = {
    "digits": (
        (*DIGITS, "model=digits", "model.guidance_scale=2", "verifier@report=classifier", "allow_same_scorer=true"),
        (
            ("search=random", "budget.samplings=[1,2]"),
            ("search=more_steps", "budget.samplings=[1,2]", "guidance=cg", "verifier@guide=noisy_classifier"),
            ("search=svdd", "budget.samplings=[2]", "sampler.eta=1", "seed=1"),
        ),
    ),
    "sd15": (
        (*TWINS, "model=sd15", "model.size=64", "model.offload=true", "model.vae_slicing=true"),
        (
            ("search=random", "budget.samplings=[2]", "verifier@report=aesthetic"),
            ("search=none", "guidance=dps", "verifier@guide=clip_score", "prompt='two dogs'"),
            ("search=svdd", "budget.samplings=[2]", "sampler.eta=1", "verifier@report=aesthetic"),
        ),
    ),
    "flux2_klein": (
        (*TWINS, "model=flux2_klein", "model.size=64", "sampler=euler", "verifier=pick_score"),
        (("search=random", "budget.samplings=[2]"), ("search=ses", "budget.samplings=[2]", "seed=1")),
    ),
}
"""Words of every run of a sweep, and of each run."""

LOADERS = (
    "its.model.unet2d",
    "its.model.sd15",
    "its.model.flux2",
    "its.classifier.digits",
    "its.classifier.image_text",
)


@pytest.fixture
def loads(monkeypatch):
    """How often each loader has been called."""
    counted: Counter[str] = Counter()
    for name in LOADERS:
        module = import_module(name)

        def called(*arguments, load=module.load, name=name, **values):
            counted[name.rpartition(".")[2]] += 1
            return load(*arguments, **values)

        monkeypatch.setattr(module, "load", functools.wraps(module.load)(called))
    return counted


def made(blueprint, shelf: Shelf | None) -> dict[str, bytes]:
    """The bytes of what a run leaves."""
    run = build(blueprint, shelf)
    run.run()
    return contents(run.folder)


def sampled(run) -> list[tuple]:
    """The images and rewards of a run's first problems, and what measures them, as bytes."""
    problems = [Problem(index, run.condition(index)) for index in range(2)]
    outcomes = [each for result in run.engine.run(run.search, run.caps, problems) for each in result.outcomes]
    images = np.stack([each.image for each in outcomes])
    scores = [each.scores(images, [0] * len(images)).tobytes() for each in run.instruments.held_out]
    features = {name: array.tobytes() for name, array in run.instruments.extractor(images).items()}
    return [*((each.reward, each.image.tobytes()) for each in outcomes), (scores, features)]


@pytest.mark.long
@pytest.mark.parametrize("case", RUNS)
def test_runs_that_share_networks_equal_runs_alone(tmp_path, monkeypatch, loads, case):
    """To the bit, in every file: with guidance, gradients and offload, in either order, each network loaded once."""
    monkeypatch.setenv("ITS_CACHE", str(tmp_path / "cache"))
    common, runs = RUNS[case]
    alone = [made(blueprint_of(tmp_path / "alone", *common, *words), None) for words in runs]
    model = {"digits": "unet2d"}.get(case, case.partition("_")[0])
    assert loads[model] == len(runs)
    for order in (1, -1):
        loads.clear()
        shelf = Shelf()
        out = tmp_path / f"shared{order}"
        shared = [made(blueprint_of(out, *common, *words), shelf) for words in runs[::order]]
        assert shared[::order] == alone
        assert loads[model] == 1


def test_run_with_networks_of_another_has_the_bits_that_it_has_alone(tmp_path, loads):
    """The first uses all of them, with gradients and without; what it leaves in them would show in the second."""
    common, (first, second, _) = RUNS["digits"]
    one, two = (blueprint_of(tmp_path, *common, *words) for words in (second, first))
    alone, shelf = sampled(build(two)), Shelf()
    loads.clear()
    sampled(build(one, shelf))
    assert loads["unet2d"] == 1
    assert sampled(build(two, shelf)) == alone
    assert loads == {"unet2d": 1, "digits": 3}, "one that selects and is held out, one that guides, one that measures"


@pytest.mark.long
def test_run_frees_the_networks_of_the_last_before_it_loads_its_own(tmp_path, monkeypatch):
    """Of two models never both are in memory."""
    from its.model import unet2d
    from its.model.denoiser import NetworkDenoiser

    def alive(*arguments, load=unet2d.load, **values):
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, NetworkDenoiser)]
        return load(*arguments, **values)

    monkeypatch.setattr(unet2d, "load", functools.wraps(unet2d.load)(alive))
    shelf = Shelf()
    for words in (["model=digits"], ["model=digits", "model.guidance_scale=2"], ["model=digits_unconditional"]):
        build(blueprint_of(tmp_path, *DIGITS, *words), shelf).run()


SWEEP = """
import functools, runpy, sys
from its.model import unet2d
def called(*arguments, load=unet2d.load, **values):
    print("loaded")
    return load(*arguments, **values)
unet2d.load = functools.wraps(unet2d.load)(called)
words = {words}
"""

PLAIN = """
sys.argv = ["run.py", *words, "-m", "search=random,more_steps,none"]
runpy.run_path("run.py", run_name="__main__")
"""

JOB = """
from its.cluster.slurm_job import SlurmJob
from its.process.source_tree import source_tree
runs = [(*words, f"search={search}") for search in ("random", "more_steps", "none")]
SlurmJob(".", tuple(enumerate(runs)), {statuses}, source_tree())()
"""


@pytest.mark.long
@pytest.mark.parametrize("program", [PLAIN, JOB], ids=["basic launcher", "job of SLURM"])
def test_sweep_in_one_process_loads_a_network_once_and_again_after_a_failed_run(tmp_path, program):
    words = [f"out_dir={tmp_path}", *DIGITS, "reporting=none"]
    obstruct(blueprint_of(tmp_path, *DIGITS, "reporting=none", "search=more_steps").folder)
    code = (SWEEP + program).replace("{words}", repr(words)).replace("{statuses}", repr(str(tmp_path / "status")))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CONF.parent), "SLURM_JOB_ID": "1"},
    )
    said = done.stdout + done.stderr
    assert said.count("loaded\n") == 2, said
    assert len([*Path(tmp_path).rglob("metrics.json")]) == 2
