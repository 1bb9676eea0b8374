"""Sweeps on a real SLURM come out right whatever happens to them there."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.end_to_end.runs import contents, make_experiment, numbers
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


def test_eight_jobs_as_an_array_one_failing_and_then_only_what_is_missing(tmp_path, cluster):
    eight = ("images=20", "search=random", "budget.samplings=null", "budget.nfe=[1],[3],[4],[5],[6],[7],[8],[9]")
    assert cluster.sweep(tmp_path, *eight).wait(timeout=1800) == 1
    said = cluster.said(tmp_path)
    assert "8 runs: 0 finished before, 8 to make" in said
    jobs = re.findall(r"(finished|failed) +(\d+)_(\d+)  ", said)
    assert len({array for _, array, _ in jobs}) == 1
    assert len({task for _, _, task in jobs}) == 8
    assert "cap of 1 NFE is below the 3 NFE" in said
    assert len(list(tmp_path.rglob("metrics.json"))) == 7
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*")}
    assert cluster.sweep(tmp_path, *eight).wait(timeout=1800) == 1
    again = cluster.said(tmp_path).removeprefix(said)
    assert "8 runs: 7 finished before, 1 to make" in again
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*")} == before


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_one_run_on_several_tasks_is_the_same(tmp_path, cluster, whole, tasks):
    launcher = cluster.sweep(tmp_path, *ONE, f"hydra.launcher.tasks_per_node={tasks}", launcher="slurm_multi")
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    same(folder_in(tmp_path), whole)
    assert len(list(tmp_path.rglob("*_log.out"))) == tasks


def test_preempted_five_times(tmp_path, cluster, whole, eventually, shards):
    """By jobs of a partition that may, as a cluster does it."""
    launcher = cluster.sweep(tmp_path, *ONE)
    folder = folder_in(tmp_path)
    for time in range(5):
        count = len(shards(folder))
        eventually(lambda count=count: len(shards(folder)) > count, f"a shard after {time} preemptions")
        job = cluster.job_of(folder)
        cluster.ask("sbatch", "--partition=high", "--ntasks=8", "--output=/dev/null", "--wrap=true")
        eventually(lambda job=job: cluster.state(job) == "PENDING", f"preemption {time}")
        cluster.start_now(job)
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    same(folder, whole)
    log = next(tmp_path.rglob("*_0_log.out")).read_text()
    assert log.count("SIGTERM: leaving") == 5


def test_out_of_time_and_requeued(tmp_path, cluster, eventually, shards):
    """SLURM says it up to a minute early; a limit of two minutes leaves time for a shard on a slow machine."""
    launcher = cluster.sweep(tmp_path, "images=100000", "search=random", "budget.samplings=[1,2]",
                             "hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=10")
    eventually(lambda: [path for path in tmp_path.rglob("*_log.out") if "SIGUSR2: leaving" in path.read_text()],
               "the time limit", 300)
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


def test_a_killed_task_and_a_killed_controller(tmp_path, cluster, whole, eventually, shards):
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
        if f"SLURM_JOB_ID={job}".encode() in environment and f"SLURM_PROCID={rank}".encode() in environment \
                and b"submitit" in command:
            return int(path.parent.name)
    raise AssertionError(f"no task {rank} of {job}")


def test_without_waiting_and_attached_again(tmp_path, cluster, whole):
    assert cluster.sweep(tmp_path, *ONE, "hydra.launcher.wait=false").wait(timeout=600) == 0
    job = re.search(r"jobs (\S+)", cluster.said(tmp_path))[1]
    assert cluster.sweep(tmp_path, *ONE).wait(timeout=1200) == 0
    assert re.findall(r"jobs (\S+)", cluster.said(tmp_path)) in ([job], [job, job]), "no second job"
    same(folder_in(tmp_path), whole)


def test_several_runs_in_a_job(tmp_path, cluster):
    launcher = cluster.sweep(tmp_path, "images=10", "search=none", "seed=0,1,2,3", "hydra.launcher.runs_per_job=2")
    assert launcher.wait(timeout=1200) == 0, cluster.said(tmp_path)
    jobs = re.findall(r"finished  (\d+_\d)  ", cluster.said(tmp_path))
    assert len(jobs) == 4
    assert len(set(jobs)) == 2


def test_a_batch_script_without_submitit(tmp_path, cluster, whole, eventually):
    options = ["--partition=debug", "--account=", "--ntasks-per-node=2", "--gres=gpu:2", "--cpus-per-task=1",
               f"--output={tmp_path}/%j.out", f"--error={tmp_path}/%j.out", "--time=20"]
    environment = {**os.environ, "PYTHON": os.sys.executable}
    done = subprocess.run(["sbatch", *options, "slurm/run.sbatch", f"out_dir={tmp_path}", *SMALL, *ONE], check=True,
                          cwd=ROOT, env=environment, capture_output=True, text=True)
    job = done.stdout.split()[-1]
    eventually(lambda: not cluster.state(job), "the job is over", 1200)
    same(folder_in(tmp_path), whole)
    assert (tmp_path / "default" / "report" / "table.md").exists(), "rank 0 reports"
