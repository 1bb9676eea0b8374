"""`plan=true` and `--help`: what would be done, without loading a network or making a run."""

import json
import subprocess
import sys
from pathlib import Path

from its.config.help import text
from its.config.plan import RATES
from tests.build import CONF, make_experiment

LOADED = (
    "import runpy, sys; runpy.run_path('run.py', run_name='__main__'); "
    "print([m for m in ('torch', 'wandb') if m in sys.modules])"
)
SIZE = ("images=40", "shard=20", "sampler.steps=4", "budget.samplings=[1,2]")


def plan(out_dir: Path, *overrides: str) -> str:
    command = [sys.executable, "-c", LOADED, f"out_dir={out_dir}", "plan=true", *SIZE, *overrides]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_plan_says_what_is_missing_and_loads_nothing(tmp_path):
    fresh = plan(tmp_path)
    assert "40 images, 0 on disk, 2 shards missing, 320 NFE to spend, rate unknown" in fresh
    assert fresh.rstrip().endswith("[]"), "neither torch nor wandb"
    assert not list(tmp_path.rglob("shards"))
    run = make_experiment(tmp_path, *SIZE, "images=20")
    run.run()
    again = plan(tmp_path)
    assert "40 images, 20 on disk, 1 shards missing, 160 NFE to spend" in again
    assert str(run.folder) in again


def test_a_plan_of_a_sweep_uses_measured_rates(tmp_path):
    rates = {
        f"{search} digits_unconditional cpu batch 128": {"nfe_per_second": 16.0, "fixed_seconds": 3.0}
        for search in ("random", "more_steps")
    }
    (tmp_path / RATES).write_text(json.dumps(rates))
    said = plan(tmp_path, "-m", "search=random,more_steps,none")
    assert "random (classifier, seed 0)" in said
    assert "320 NFE to spend, about 23 s" in said, "an anytime search serves both caps in one run"
    assert "480 NFE to spend, about 33 s" in said, "a planned one is run for each"
    assert "160 NFE to spend, rate unknown" in said


def test_a_cap_below_one_sampling_is_told_by_the_plan(tmp_path):
    command = [sys.executable, "run.py", f"out_dir={tmp_path}", "plan=true", "budget=nfe_100", "sampler.steps=200"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cap of 100 NFE is below the 200 NFE" in done.stdout + done.stderr


def test_a_run_that_may_not_fit_on_the_disk_is_refused_before_it_starts(tmp_path):
    run = make_experiment(tmp_path / "whole", *SIZE)
    run.run()
    made = sum(path.stat().st_size for path in (run.folder / "shards").iterdir())
    full = (
        "import collections, runpy, shutil; usage = collections.namedtuple('usage', 'total used free'); "
        f"shutil.disk_usage = lambda path: usage(9, 9, {made // 2}); "
        "runpy.run_path('run.py', run_name='__main__')"
    )
    command = [sys.executable, "-c", full, f"out_dir={tmp_path / 'full'}", *SIZE]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "free some, set another out_dir=, or make fewer images=" in done.stdout + done.stderr
    assert not list((tmp_path / "full").rglob("shards"))


def test_help_lists_every_choice():
    said = text(CONF)
    for file in CONF.glob("*/*.yaml"):
        assert f"  {file.stem} " in said or f"  {file.stem:<22}" in said
