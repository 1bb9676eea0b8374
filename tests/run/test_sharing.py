"""Runs of one process share the networks that both name, and have the bits that each has alone."""

import functools
import gc
import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from its.config.shelf import Shelf
from its.run.build import build
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

LOADERS = ("its.model.unet2d", "its.model.sd15", "its.model.flux2", "its.classifier.digits", "its.classifier.image_text")


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
    """Make a run, and return the bytes of what it leaves."""
    run = build(blueprint, shelf)
    run.run()
    return contents(run.folder)


@pytest.mark.parametrize("case", ["digits", *(pytest.param(name, marks=pytest.mark.long) for name in [*RUNS][1:])])
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
sys.argv = ["run.py", *words, "-m", "search=random,more_steps,none", "seed=0,1"]
runpy.run_path("run.py", run_name="__main__")
"""

JOB = """
from its.cluster.slurm_job import SlurmJob
from its.process.source_tree import source_tree
runs = [(*words, f"search={search}", f"seed={seed}") for search in ("random", "more_steps", "none") for seed in (0, 1)]
SlurmJob(".", tuple(enumerate(runs)), {statuses}, source_tree())()
"""


@pytest.mark.long
@pytest.mark.parametrize("program", [PLAIN, JOB], ids=["basic launcher", "job of SLURM"])
def test_sweep_in_one_process_loads_a_network_once_and_again_after_a_failed_run(tmp_path, program):
    words = [f"out_dir={tmp_path}", *DIGITS, "reporting=none"]
    obstruct(blueprint_of(tmp_path, *DIGITS, "reporting=none", "search=more_steps", "seed=0").folder)
    code = (SWEEP + program).replace("{words}", repr(words)).replace("{statuses}", repr(str(tmp_path / "status")))
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(CONF.parent)},
    )
    said = done.stdout + done.stderr
    assert said.count("loaded\n") == 2, said
    assert len([*Path(tmp_path).rglob("metrics.json")]) == 5
