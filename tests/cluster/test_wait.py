"""When is a job over? Not because SLURM is silent, and not by sacct: by what is on disk, and by squeue twice."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from its.cluster import sweep
from its.cluster.sweep import SweepRun
from its.cluster.wait import wait
from its.config.composed import compose_whole
from its.disk.run_folder import RunFolder
from its.process import slurm
from its.process.slurm import Allocation, duration, own_id


def a_run(folder: Path, job: str = "5_0", number: int = 0) -> SweepRun:
    submission = folder / ".slurm" / "s"
    (submission / "status").mkdir(parents=True, exist_ok=True)
    return SweepRun(
        number,
        (f"seed={number}",),
        str(folder / f"run{number}"),
        10,
        "abc",
        {"seed": number},
        job,
        str(submission),
        "submitted",
    )


def finish(run: SweepRun, images: int = 10) -> None:
    Path(run.folder).mkdir(parents=True, exist_ok=True)
    (Path(run.folder) / "metrics.json").write_text(json.dumps({"images": images, "asked": "abc", "curve": []}))


@pytest.fixture
def watched(monkeypatch):
    """Wait for runs while squeue says, one answer after another, what `answers` holds; count the looks."""

    def watch(runs: list[SweepRun], answers: list) -> int:
        looks = iter(answers)
        seen = []

        def queue() -> dict[str, str]:
            answer = next(looks)
            seen.append(answer)
            if callable(answer):
                answer = answer()
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(slurm, "queue", queue)
        monkeypatch.setattr(slurm, "ending", lambda job: "SLURM says CANCELLED")
        wait(runs, pause=lambda seconds: None)
        return len(seen)

    return watch


def test_wait_ends_for_a_finished_run_still_in_the_queue(tmp_path, watched):
    run = a_run(tmp_path)
    assert watched([run], [{"5_0": "RUNNING"}, lambda: finish(run) or {"5_0": "COMPLETING"}]) == 2
    assert run.state == "finished"


def test_wait_fails_a_run_missing_from_the_queue_twice(tmp_path, watched):
    run = a_run(tmp_path)
    assert watched([run], [{"5_0": "RUNNING"}, {}, {"5_0": "PENDING"}, {}, {}]) == 5
    assert run.state == "failed"
    assert "gone from the queue" in run.reason
    assert "CANCELLED" in json.loads((Path(run.folder) / "failed.json").read_text())["reason"]


def test_wait_goes_on_while_the_controller_is_silent(tmp_path, watched):
    run = a_run(tmp_path)
    away = slurm.Unreachable("no answer")
    assert watched([run], [{}, away, away, away, lambda: finish(run) or {}]) == 5
    assert run.state == "finished"


def test_wait_reports_the_reason_given_by_the_process(tmp_path, watched):
    run = a_run(tmp_path)
    (Path(run.submission) / "status" / "0.1.json").write_text(
        json.dumps({"status": "failed", "reason": "ValueError: no", "folder": None})
    )
    watched([run], [{}, {}])
    assert run.reason == "ValueError: no"


def test_sweep_run_with_candidates_is_unfinished_without_its_pool(tmp_path):
    run = replace(a_run(tmp_path), candidates=True)
    finish(run)
    assert not run.finished()
    summary = Path(run.folder) / "metrics.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "pool": True}))
    assert run.finished()
    assert replace(run, candidates=False).finished()


def test_sweep_run_of_verify_is_finished_when_its_own_process_says_so(tmp_path, watched):
    words = ("images=30", "dataset=mixture", "model=mixture")
    looks = [
        SweepRun.of(0, words, (), compose_whole([f"out_dir={tmp_path}", *words, *more]))
        for more in ((), ("verify=true",))
    ]
    folder = Path(looks[0].folder)
    RunFolder(folder).store.write("shards/00000000.safetensors", {"index": np.arange(30)})
    summary = {"images": 30, "asked": looks[0].metrics_config_hash, "pool": False, "curve": [{"nfe": 1}]}
    (folder / "curve.csv").write_text("nfe\n1\n")
    (folder / "metrics.json").write_text(json.dumps(summary))
    looks = [
        SweepRun.of(0, words, (), compose_whole([f"out_dir={tmp_path}", *words, *more]))
        for more in ((), ("verify=true",))
    ]
    assert [run.state for run in looks] == ["finished", "missing"], "that job reads every byte"
    assert [run.finished() for run in looks] == [True, False]


def test_read_jobs_names_and_passes_over_damaged_records(tmp_path, caplog):
    run = replace(a_run(tmp_path), nfe=math.inf)
    sweep.write_jobs(tmp_path / ".slurm" / "s", [run])
    assert "Infinity" not in (tmp_path / ".slurm" / "s" / "jobs.json").read_text()
    for k, damage in enumerate((b"", b"{", b"[]", b"[{}]", b"7", b'[{"number": 0}]', b"\xff")):
        (tmp_path / ".slurm" / f"t{k}").mkdir()
        (tmp_path / ".slurm" / f"t{k}" / "jobs.json").write_bytes(damage)
    [read] = sweep.read_jobs(tmp_path)
    assert (read.job, read.folder, read.work) == (run.job, run.folder, run.work)
    assert caplog.text.count("jobs.json is damaged") == 6


def test_wait_passes_over_a_damaged_status(tmp_path, watched):
    run = a_run(tmp_path)
    status = Path(str(run.submission)) / "status"
    for k, damage in enumerate((b"", b"[]", b"{}", b"\xff")):
        (status / f"0.{k}.json").write_bytes(damage)
    watched([run], [{}, {}])
    assert run.state == "failed"
    assert "is gone from the queue" in run.reason


def test_sweep_nfe_counts_shared_work_once(tmp_path):
    runs = [replace(a_run(tmp_path, number=number), nfe=10.0 + number) for number in (0, 1)]
    assert sweep.nfe([*runs, replace(runs[0], number=2)]) == 21


def test_wait_writes_nothing_into_a_folder_of_another_configuration(tmp_path, watched):
    run = a_run(tmp_path)
    Path(run.folder).mkdir()
    (Path(run.folder) / "config.yaml").write_text("seed: 7\n")
    watched([run], [{}, {}])
    assert [path.name for path in Path(run.folder).iterdir()] == ["config.yaml"]


def test_attach_finds_living_jobs_only(tmp_path):
    first = [a_run(tmp_path, "5_0", 0), a_run(tmp_path, "5_1", 1)]
    sweep.write_jobs(tmp_path / ".slurm" / "s", first)
    again = [SweepRun(k, run.overrides, run.folder, run.images, run.metrics_config_hash) for k, run in enumerate(first)]
    more = SweepRun(0, ("seed=0",), first[0].folder, 20, "abc")
    sweep.attach([*again, more], tmp_path, {"5_0": "PENDING"})
    assert [(run.state, run.job) for run in (*again, more)] == [
        ("submitted", "5_0"),
        ("missing", None),
        ("missing", None),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("00:00:07", 7), ("01:02:03", 3723), ("2-00:00:01", 172801)])
def test_duration_reads_slurm_times(text: str, seconds: float):
    assert duration(text) == seconds


def test_allocation_tells_a_time_limit_from_a_preemption():
    late = Allocation(3500.0, "01:00:00", preempted=False)
    assert late.time_is_up(10)
    assert not late.time_is_up(15)
    assert not Allocation(3500.0, "01:00:00", preempted=True).time_is_up(10)
    assert not Allocation(60.0, "01:00:00", preempted=False).time_is_up(10)
    assert not Allocation(3500.0, "UNLIMITED", preempted=False).time_is_up(10)


def test_own_id_names_the_task_of_an_array():
    assert own_id({"SLURM_JOB_ID": "12", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "0"}) == "12_0"
    assert own_id({"SLURM_JOB_ID": "12"}) == "12"
