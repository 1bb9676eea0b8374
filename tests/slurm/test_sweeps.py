"""Sweeps on a real SLURM come out right whatever happens to them there."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.build import contents, make_experiment, numbers, obstruct
from tests.slurm.cluster import ROOT, SMALL

pytestmark = pytest.mark.slurm

ONE = ("images=600", "search=random", "budget.samplings=[1,2]")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of an undisturbed run, made in this process."""
    run = make_experiment(tmp_path_factory.mktemp("whole"), *SMALL, *ONE)
    run.run()
    return run.folder


def same(folder: Path, whole: Path) -> None:
    assert contents(folder) == contents(whole)
    assert numbers(folder) == numbers(whole)


def folder_in(out_dir: Path) -> Path:
    return make_experiment(out_dir, *SMALL, *ONE).folder


def test_slurm_sweep_repeated_submits_only_the_failed_job(tmp_path, cluster):
    eight = ("images=20", "search=random", "budget.samplings=null", "budget.nfe=[3],[4],[5],[6],[7],[8],[9],[12]")
    obstruct(make_experiment(tmp_path, *SMALL, *eight[:3], "budget.nfe=[12]").folder)
    assert cluster.sweep(tmp_path, *eight).wait(timeout=1800) == 1
    said = cluster.said(tmp_path)
    assert "8 runs: 0 finished before, 8 to make, 1080 NFE to spend" in said
    jobs = re.findall(r"(finished|failed) +(\d+)_(\d+)  ", said)
    assert len({array for _, array, _ in jobs}) == 1
    assert len({task for _, _, task in jobs}) == 8
    assert "Not a directory" in said.rsplit("failed:", 1)[1]
    assert len(list(tmp_path.rglob("metrics.json"))) == 7
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*")}
    assert len(before) == 28
    assert cluster.sweep(tmp_path, *eight).wait(timeout=1800) == 1
    again = cluster.said(tmp_path).removeprefix(said)
    assert "8 runs: 7 finished before, 1 to make, 240 NFE to spend" in again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*")} == before


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_slurm_sweep_on_several_tasks_equals_one_process(tmp_path, cluster, whole, tasks):
    launcher = cluster.sweep(tmp_path, *ONE, f"hydra.launcher.tasks_per_node={tasks}", launcher="slurm_multi")
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    same(folder_in(tmp_path), whole)
    assert len(list(tmp_path.rglob("*_log.out"))) == tasks


def test_slurm_sweep_equals_an_undisturbed_run_after_five_preemptions(tmp_path, cluster, whole, eventually, shards):
    """By jobs of a partition that may, as a cluster does it."""
    launcher = cluster.sweep(tmp_path, *ONE)
    folder = folder_in(tmp_path)
    for turn in range(5):
        count = len(shards(folder))
        eventually(lambda count=count: len(shards(folder)) > count, f"a shard after {turn} preemptions")
        job = cluster.job_of(folder)
        cluster.ask("sbatch", "--partition=high", "--ntasks=8", "--output=/dev/null", "--wrap=true")
        eventually(lambda job=job: cluster.state(job) == "PENDING", f"preemption {turn}")
        cluster.start_now(job)
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    same(folder, whole)
    log = next(tmp_path.rglob("*_0_log.out")).read_text()
    assert log.count("SIGTERM: leaving") == 5


def test_slurm_sweep_requeues_at_the_time_limit_and_goes_on(tmp_path, cluster, eventually, shards):
    """SLURM says it up to a minute early; a limit of two minutes leaves time for a shard on a slow machine."""
    launcher = cluster.sweep(
        tmp_path,
        "images=100000",
        "search=random",
        "budget.samplings=[1,2]",
        "hydra.launcher.timeout_min=2",
        "hydra.launcher.signal_delay_s=10",
    )
    eventually(
        lambda: [path for path in tmp_path.rglob("*_log.out") if "SIGUSR2: leaving" in path.read_text()],
        "the time limit",
        300,
    )
    folder = make_experiment(tmp_path, *SMALL, "images=100000", "search=random", "budget.samplings=[1,2]").folder
    job = cluster.job_of(folder)
    eventually(lambda: cluster.state(job) == "PENDING", "requeued")
    count = len(shards(folder))
    assert count > 0
    cluster.start_now(job)
    eventually(lambda: len(shards(folder)) > count, "it goes on")
    cluster.ask("scancel", job)
    assert launcher.wait(timeout=60) == 1, "the launcher is back within a minute"
    assert "SLURM says CANCELLED" in cluster.said(tmp_path)


def test_slurm_sweep_survives_a_killed_task_and_a_controller_restart(tmp_path, cluster, whole, eventually, shards):
    launcher = cluster.sweep(tmp_path, *ONE, "hydra.launcher.tasks_per_node=2", launcher="slurm_multi")
    folder = folder_in(tmp_path)
    eventually(lambda: shards(folder), "a shard")
    job = cluster.job_of(folder)
    os.kill(task_of(job, rank=1), signal.SIGKILL)
    script = ["bash", str(ROOT / "slurm" / "local_cluster.sh"), "restart-controller", str(cluster.folder)]
    subprocess.run(script, check=True, timeout=120)
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    same(folder, whole)


def task_of(job: str, rank: int) -> int:
    """The process of one task."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().split(b"\0")
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if (
            f"SLURM_JOB_ID={job}".encode() in environment
            and f"SLURM_PROCID={rank}".encode() in environment
            and b"submitit" in command
        ):
            return int(path.parent.name)
    raise AssertionError(f"no task {rank} of {job}")


def test_slurm_sweep_splits_into_arrays_and_notices_cancellation(tmp_path, cluster, eventually, shards):
    """The cluster's MaxArraySize is 8."""
    launcher = cluster.sweep(
        tmp_path, "images=100000", "search=random", "seed=range(9)", "hydra.launcher.array_parallelism=1"
    )
    eventually(lambda: shards(tmp_path), "a shard")
    jobs = re.search(r"jobs (.*)", cluster.said(tmp_path))[1].split()
    first, second = jobs[0].split("_")[0], jobs[-1]
    assert jobs == [*(f"{first}_{task}" for task in range(8)), second]
    assert second.isdigit(), "an array of one is no array"
    status = subprocess.run(
        [sys.executable, "scripts/status.py", str(tmp_path / "default")],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert re.search(rf"RUNNING +job {first}_0; \d+ shards are there", status)
    assert len(re.findall(r"PENDING \(JobArrayTaskLimit\) job", status)) == 7
    cancelled = time.monotonic()
    cluster.ask("scancel", first, second)
    assert launcher.wait(timeout=60) == 1, "the launcher is back within a minute"
    print(f"the launcher was back {time.monotonic() - cancelled:.0f} s after scancel")
    said = cluster.said(tmp_path)
    assert len(re.findall(r"  failed +\d+_\d+ ", said)) == 9
    assert "SLURM says CANCELLED" in said[said.index("failed: ") :]


def test_slurm_sweep_follows_the_site_file(tmp_path, cluster):
    site = tmp_path / "site.yaml"
    site.write_text(
        "partition: high\ngres: gpu:1\nmem_gb: 1\nsetup: [echo setup on $SLURM_JOB_PARTITION]\n"
        "container: env CONTAINED=yes\nadditional_parameters: {comment: from the site}\n"
    )
    launcher = cluster.sweep(tmp_path, "images=10", "hydra.launcher.tasks_per_node=2", ITS_SITE=str(site))
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    log = next(tmp_path.rglob("*_0_log.out")).read_text()
    assert log.startswith("setup on high")
    job = cluster.ask("scontrol", "show", "job", re.search(r"jobs (\S+)", cluster.said(tmp_path))[1])
    for wanted in ("Comment=from the site", "MinMemoryNode=2G", "TresPerNode=gres:gpu:2", "Requeue=1"):
        assert wanted in job
    script = next(tmp_path.rglob("*submission.sh")).read_text()
    assert f"env CONTAINED=yes {sys.executable} -u -m submitit" in script
    assert make_experiment(tmp_path, *SMALL, "images=10").folder.is_dir(), "the folder's name knows nothing of it"


def test_slurm_sweep_stops_at_an_edited_source_unless_allowed(tmp_path, cluster, eventually):
    root = tmp_path / "clone"
    for part in ("its", "conf", "hydra_plugins", "slurm"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run.py", root)
    blocker = cluster.ask(
        "sbatch", "--parsable", "--partition=high", "--ntasks=8", "--output=/dev/null", "--wrap=sleep 900"
    ).strip()
    eventually(lambda: cluster.state(blocker) == "RUNNING", "the node is taken", 60)
    launchers = [
        cluster.sweep(tmp_path / name, "images=10", f"allow_edited={name}", root=root) for name in ("false", "true")
    ]
    for name in ("false", "true"):
        eventually(lambda name=name: "jobs " in cluster.said(tmp_path / name), "submitted", 120)
    (root / "conf" / "config.yaml").open("a").write("# edited\n")
    cluster.ask("scancel", blocker)
    assert [launcher.wait(timeout=600) for launcher in launchers] == [1, 0]
    said = cluster.said(tmp_path / "false")
    assert re.search(r"submitted with source none:\w{16} \(commit:tree\) and finds none:\w{16}; restore", said)


def test_slurm_sweep_attaches_to_a_running_job(tmp_path, cluster, whole, eventually, shards):
    assert cluster.sweep(tmp_path, *ONE, "hydra.launcher.wait=false").wait(timeout=600) == 0
    job = re.search(r"jobs (\S+)", cluster.said(tmp_path))[1]
    more = run_script(cluster, tmp_path)
    attached = cluster.sweep(tmp_path, *ONE)
    log = tmp_path / f"{more}.out"
    eventually(lambda: log.exists() and str(folder_in(tmp_path)) in log.read_text(), "two more workers")
    eventually(lambda: shards(tmp_path), "a shard")
    cluster.ask("scancel", more)
    assert attached.wait(timeout=1200) == 0
    assert re.findall(r"jobs (\S+)", cluster.said(tmp_path)) in ([job], [job, job]), "no second job"
    same(folder_in(tmp_path), whole)


def test_slurm_sweep_puts_several_runs_into_a_job(tmp_path, cluster):
    launcher = cluster.sweep(tmp_path, "images=10", "search=none", "seed=0,1,2,3", "hydra.launcher.runs_per_job=2")
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    jobs = re.findall(r"finished  (\d+_\d)  ", cluster.said(tmp_path))
    assert len(jobs) == 4
    assert len(set(jobs)) == 2


def test_sweep_sbatch_makes_every_run_of_a_file(tmp_path, cluster, eventually):
    (tmp_path / "runs.txt").write_text("search=none seed=1\nsearch=random 'budget.samplings=[1,2]'\n")
    options = [
        "--parsable",
        "--partition=debug",
        "--account=",
        "--cpus-per-task=1",
        "--array=0-1",
        "--time=20",
        f"--output={tmp_path}/%A_%a.out",
        f"--error={tmp_path}/%A_%a.out",
        f"--chdir={ROOT}",
        f"--export=ALL,PYTHON={sys.executable}",
        str(ROOT / "slurm" / "sweep.sbatch"),
    ]
    job = cluster.ask("sbatch", *options, str(tmp_path / "runs.txt"), f"out_dir={tmp_path}", *SMALL, "images=10")
    eventually(lambda: not cluster.state(job.strip()), "the jobs are over", 600)
    searches = sorted(json.loads(path.read_text())["search"] for path in tmp_path.rglob("metrics.json"))
    assert searches == ["none", "random"], [path.read_text() for path in tmp_path.glob("*.out")]


def run_script(cluster, folder: Path) -> str:
    """Submit the run to slurm/run.sbatch, on two tasks; return the job."""
    options = [
        "--partition=debug",
        "--account=",
        "--ntasks-per-node=2",
        "--gres=gpu:2",
        "--cpus-per-task=1",
        f"--output={folder}/%j.out",
        f"--error={folder}/%j.out",
        "--time=20",
        "--chdir",
        str(ROOT),
        f"--export=ALL,PYTHON={sys.executable}",
    ]
    return cluster.ask(
        "sbatch",
        "--parsable",
        *options,
        str(ROOT / "slurm" / "run.sbatch"),
        f"out_dir={folder}",
        *SMALL,
        *ONE,
        "reporting=each",
    ).strip()


def test_run_sbatch_equals_an_undisturbed_run_and_reports(tmp_path, cluster, whole, eventually):
    job = run_script(cluster, tmp_path)
    eventually(lambda: not cluster.state(job), "the job is over", 1200)
    same(folder_in(tmp_path), whole)
    assert (tmp_path / "default" / "report" / "table.md").exists(), "rank 0 reports"
