"""`plan=true` and `--help`: what would be done, without loading a network or making a run."""

import itertools
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from its.config.help import text
from its.config.kinds import Work
from its.config.plan import RATES, Plan, duration, total
from tests.build import CONF, blueprint_of, make_experiment

LOADED = (
    "import runpy, sys; runpy.run_path('run.py', run_name='__main__'); "
    "print([m for m in ('torch', 'wandb', 'matplotlib', 'pandas') if m in sys.modules])"
)
FOLDERS = itertools.count()
SIZE = ("images=40", "shard=20", "sampler.steps=4", "budget.samplings=[1,2]")


def plan(out_dir: Path, *overrides: str) -> str:
    return loaded(out_dir, "plan=true", *SIZE, *overrides)


def loaded(out_dir: Path, *overrides: str) -> str:
    """What run.py says, and at its end which of the slow packages it has loaded."""
    command = [sys.executable, "-c", LOADED, f"out_dir={out_dir}", *overrides]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_plan_counts_missing_shards_and_loads_no_torch(tmp_path):
    fresh = plan(tmp_path)
    assert "40 images, 0 on disk, 2 shards missing, 320 NFE to spend, rate unknown" in fresh
    assert fresh.rstrip().endswith("[]"), "neither torch nor wandb"
    assert not list(tmp_path.rglob("shards"))
    assert "at most 560 NFE to spend" in plan(tmp_path, "sampler=heun", "budget.samplings=[1,2]")
    run = make_experiment(tmp_path, *SIZE, "images=20")
    run.run()
    again = plan(tmp_path)
    assert "40 images, 20 on disk, 1 shards missing, 160 NFE to spend" in again
    assert str(run.folder) in again


@pytest.mark.parametrize("experiment", ["phase1_cifar10", "schedule_digits"])
def test_plan_of_a_smoke_run_names_the_folder_and_writes_no_file(tmp_path, experiment):
    words = (f"experiment={experiment}", "smoke=true")
    out = loaded(tmp_path, "plan=true", "-m", *words)
    assert out.rstrip().endswith("[]")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != ".hydra"], "Hydra's own"
    blueprint = blueprint_of(tmp_path, *words)
    assert not list((tmp_path / "smoke").rglob("twins"))
    assert make_experiment(tmp_path, *words).folder == blueprint.folder
    assert f"/smoke/{experiment}/" in out


def test_run_script_reports_a_finished_run_without_loading_torch(tmp_path):
    words = (*SIZE, "images=20")
    run = make_experiment(tmp_path, *words)
    run.run()
    before = {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")}
    out = loaded(tmp_path, *words)
    assert "nothing to do: 20 images and their curve are there" in out
    assert "random " in out, "its rows"
    assert out.rstrip().endswith("[]")
    assert {path: path.stat().st_mtime_ns for path in run.folder.rglob("*")} == before


@pytest.mark.long
def test_run_script_makes_a_damaged_shard_of_a_finished_run_again(tmp_path):
    words = (*SIZE, "images=20")
    run = make_experiment(tmp_path, *words)
    run.run()
    shard = run.folder / "shards" / "00000000.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1])
    assert "torch" in loaded(tmp_path, *words), "a shard of another size is made again"
    assert shard.read_bytes() == whole
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "torch" in loaded(tmp_path, *words, "verify=true"), "every byte is read"
    assert shard.read_bytes() == whole


def test_run_script_repeats_a_finished_sweep_and_its_report_without_loading_what_made_them(tmp_path):
    words = ("-m", "hydra/launcher=local", *SIZE, "images=20")
    make_experiment(tmp_path, *words[2:]).run()
    assert "matplotlib" in loaded(tmp_path, *words), "the report is drawn"
    again = loaded(tmp_path, *words)
    assert "1 runs: 1 finished before, 0 to make" in again
    assert again.rstrip().endswith("index.html\n[]")


def test_plan_of_a_sweep_uses_measured_rates(tmp_path):
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


def plan_with(seconds: float | None, *, nfe: float = 100.0, bounded: bool = False, **work) -> Plan:
    size = {"images": 40, "present": 10, "missing": 3, "disk_bytes": 10**6, "memory_bytes": 2 * 10**9}
    entries = {"method": "m", "files": "shards", "rate": "a", "nfe": nfe, **size, **work}
    return Plan(Path(str(next(FOLDERS))), Work(**entries), seconds, bounded=bounded)


def test_total_adds_up_the_runs_of_a_sweep():
    assert total([plan_with(20.0), plan_with(3.0)]) == (
        "total: 2 runs, 80 images, 20 on disk, 200 NFE to spend, about 23 s, peak memory beside networks at most about "
        "2.0 GB, disk 2.0 MB"
    )
    assert "at most 200 NFE" in total([plan_with(1.0), plan_with(1.0, bounded=True)])
    assert "100 NFE to spend and what 1 without a cap take" in total([plan_with(1.0), plan_with(None, nfe=math.inf)])


def test_total_says_which_rates_are_unknown():
    unknown = [plan_with(None, rate="b"), plan_with(None, rate="c"), plan_with(None, rate="b")]
    assert "to spend, rate unknown of b, c: run python scripts/benchmark.py, peak memory" in total(unknown)
    assert "about 20 s and more (rate unknown of b, c: run python" in total([plan_with(20.0), *unknown])


def test_plan_of_a_stated_rate_says_hours_on_one_and_more_gpus(tmp_path):
    """A day of one GPU: 40 images, two caps of one and two samplings of four steps are 320 NFE, 480 if planned."""
    words = ("-m", "search=random,more_steps", f"nfe_per_second={800 / 86400}")
    said = plan(tmp_path, *words)
    assert "320 NFE to spend, about 9.6 h of a GPU at the stated 0.00925926 NFE/s" in said
    assert "800 NFE to spend, about 24.0 h (24.0 h on 1, 3.0 h on 8, 22 min on 64 GPUs), peak memory" in said
    guided = plan(tmp_path, "guidance=tfg", words[-1])
    assert "320 NFE to spend, about 19.2 h of a GPU" in guided, "each forward has a backward"
    rates = {
        f"{search} digits_unconditional cpu batch 128": {"nfe_per_second": 16.0, "fixed_seconds": 3.0}
        for search in ("random", "more_steps")
    }
    (tmp_path / RATES).write_text(json.dumps(rates))
    measured = plan(tmp_path, *words)
    assert "at the stated" not in measured
    assert "GPUs" not in measured
    for rate in ("0", "inf"):
        with pytest.raises(ValueError, match=f"nfe_per_second is {rate}; it is above 0 and finite"):
            blueprint_of(tmp_path, f"nfe_per_second={rate}")


def test_total_counts_jobs_on_one_folder_once():
    one = plan_with(20.0)
    more = replace(one, work=replace(one.work, images=80, nfe=200.0), seconds=40.0)
    assert total([more, one]).startswith("total: 1 runs, 80 images, 10 on disk, 200 NFE to spend, about 40 s")


def test_plan_of_one_run_ends_with_its_total(tmp_path):
    said = loaded(tmp_path, "plan=true", *SIZE[:3], "budget.verifier_calls=[1,2]").splitlines()
    assert said[-2].startswith("total: 1 runs, 40 images, 0 on disk, 320 NFE to spend, rate unknown of random: run ")


@pytest.mark.parametrize(
    ("seconds", "said"), [(119.4, "119 s"), (121, "2 min"), (7000, "117 min"), (7300, "2.0 h"), (7.2e6, "2,000.0 h")]
)
def test_duration_is_in_readable_units(seconds, said):
    assert duration(seconds) == said


CASES = {
    "random": ["search=random", "sampler.eta=0"],
    "zero_order": ["search=zero_order", "sampler.eta=0"],
    "zero_order by calls": ["search=zero_order", "sampler.eta=0", "budget.verifier_calls=[2,5]"],
    "ses": ["search=ses", "sampler.eta=0", "keep_candidates=true"],
    "snes": ["search=snes", "keep_candidates=true"],
    "trs": ["search=trs", "sampler.eta=0", "keep_candidates=true"],
    "more_steps": ["search=more_steps"],
    "none": ["search=none"],
}


@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
def test_plan_names_the_nfe_that_are_spent_and_no_less_than_the_disk_that_is_used(tmp_path, words):
    words = ("images=60", "sampler.steps=4", *(words if "verifier_calls" in "".join(words) else (SIZE[-1], *words)))
    planned = blueprint_of(tmp_path, *words).work
    run = make_experiment(tmp_path, *words)
    curve = run.run()
    spent = 60 * (curve[-1]["nfe"] if run.search.anytime else sum(row["nfe"] for row in curve))
    assert planned.nfe == pytest.approx(spent)
    used = sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file())
    assert used <= planned.disk_bytes <= 4 * used
    after = blueprint_of(tmp_path, *words).work
    assert (after.nfe, after.disk_bytes, after.missing) == (0, 0, 0)


def test_disk_of_a_search_that_moves_starting_points_holds_them(tmp_path):
    sizes = {
        (search, eta): blueprint_of(tmp_path, *SIZE, f"search={search}", f"sampler.eta={eta}").work.disk_bytes
        for search in ("random", "zero_order")
        for eta in (0, 1)
    }
    noise = 40 * 2 * 4 * 64
    assert sizes["zero_order", 0] == sizes["random", 0] + noise
    assert sizes["random", 0] == sizes["random", 1] == sizes["zero_order", 1]


def test_memory_is_that_of_rows_or_of_features_whichever_is_more(tmp_path):
    """Rows are let go before features are measured; each part grows by the bytes of what it holds."""

    def memory(*words: str) -> int:
        return blueprint_of(tmp_path, *SIZE, *words).work.memory_bytes

    assert memory("rows=20000") - memory("rows=10000") == 10000 * 4 * 64
    assert memory("images=200000") - memory("images=100000") == 100000 * 3 * 4 * 58
    assert memory("images=200000", "rows=10000") == memory("images=200000", "rows=20000")


@pytest.mark.parametrize("words", [["hydra/launcher=slurm"], []], ids=["a launcher", "the file's own sweep"])
def test_plan_of_a_sweep_ends_with_its_total(tmp_path, words):
    said = loaded(tmp_path, "plan=true", "experiment=digits_demo", *words).splitlines()
    assert said[-1] == "[]"
    assert "total: 5 runs, 5000 images, 0 on disk, 145000 NFE to spend, rate unknown of " in said[-2]
    assert said[-2].endswith(", disk 9.2 MB")
    booked = [line for line in said if "SLURM: 5 jobs × 1 task × 4 h: 20.0 task-hours; their rate is unknown" in line]
    assert len(booked) == len(words), "for a cluster alone"


def test_plan_refuses_a_cap_below_one_sampling(tmp_path):
    command = [sys.executable, "run.py", f"out_dir={tmp_path}", "plan=true", "budget=nfe_100", "sampler.steps=200"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "cap of 100 NFE is below the 200 NFE" in done.stdout + done.stderr


def test_run_script_refuses_a_run_larger_than_the_free_disk(tmp_path):
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


def test_help_lists_choices_of_the_searchpath_with_their_folder(tmp_path):
    (tmp_path / "conf dir" / "search").mkdir(parents=True)
    (tmp_path / "conf dir" / "search" / "climb.yaml").write_text("# Climb.\n_target_: my_methods.Climb\n")
    command = [sys.executable, str(CONF.parent / "run.py"), "--help", "hydra.searchpath=['file://conf dir']"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    searches = done.stdout.partition("\nsearch=\n")[2].partition("=\n")[0]
    assert f"  climb                 Climb.  ({tmp_path}/conf dir)\n" in searches
    assert "  random                " in searches


def test_help_lists_every_choice():
    said = text(CONF)
    for file in CONF.glob("*/*.yaml"):
        assert f"  {file.stem} " in said or f"  {file.stem:<22}" in said
