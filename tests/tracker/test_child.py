"""What the child logs, on a W&B run that only takes notes."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from its.tracker.child import Follower, number, require_space


class Run:
    """As much of a W&B run as the follower uses."""

    def __init__(self, folder: Path):
        self.settings = SimpleNamespace(sync_dir=str(folder))
        self.rows, self.summary, self.axes, self.exit_code = [], {}, {}, None

    def log(self, row, step):
        self.rows.append((step, row))

    def define_metric(self, name, step_metric):
        self.axes[name] = step_metric

    def finish(self, exit_code):
        self.exit_code = exit_code


@pytest.fixture
def follow(monkeypatch, tmp_path):
    """Follow a job with a new process's memory; return the note-taking run."""

    def start(job):
        sync = tmp_path / "wandb" / "run"
        sync.mkdir(parents=True, exist_ok=True)
        (sync / "run-x.wandb").write_bytes(b"x")
        run = Run(sync)
        follower = Follower({"project": "its", "mode": "offline", "timeout": 1.0})
        monkeypatch.setattr(follower, "_open", lambda message, kind: setattr(follower, "_run", run))
        follower.handle({"kind": "run", "folder": str(job.folder)})
        return follower, run

    return start


def curve(run):
    return [(step, row) for step, row in run.rows if "fid" in row]


def test_follower_logs_the_exact_curve_over_nfe(job, follow):
    follower, run = follow(job)
    assert follower.handle({"kind": "end", "status": "finished"}) == {"dir": str(Path(run.settings.sync_dir).parent)}
    with (job.folder / "curve.csv").open() as file:
        expected = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
    assert [row for _, row in curve(run)] == expected
    assert {run.axes[column] for column in expected[-1]} == {"nfe"}
    assert run.summary["ledger/nfe"] == 40 * 9.7
    assert run.exit_code == 0


def test_follower_logs_throughput_as_shards_arrive(job, follow):
    lines = (job.folder / "timing.jsonl").read_text().splitlines(keepends=True)
    (job.folder / "timing.jsonl").write_text(lines[0] + lines[1][:10])
    follower, run = follow(job)
    follower.poll()
    assert [step for step, _ in run.rows] == [20], "a line cut short is not read yet"
    (job.folder / "timing.jsonl").write_text("".join(lines))
    follower.poll()
    assert [step for step, _ in run.rows] == [20, 40]
    assert run.rows[1][1] == {
        "throughput/images": 40,
        "throughput/nfe": 1600,
        "throughput/seconds": 1.0,
        "throughput/images_per_second": 40.0,
        "throughput/nfe_per_second": 1600.0,
    }


def test_follower_of_a_requeued_job_repeats_rows_and_steps(job, follow):
    first, run = follow(job)
    first.poll()
    second, again = follow(job)
    second.handle({"kind": "end", "status": "finished"})
    assert again.rows[: len(run.rows)] == run.rows
    steps = [step for step, _ in again.rows]
    assert steps == sorted(set(steps)) == [20, 40, 41, 42]


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_follower_logs_no_curve_of_an_unfinished_job(job, follow, status):
    follower, run = follow(job)
    follower.handle({"kind": "end", "status": status})
    assert not curve(run)
    assert run.exit_code == 1


def test_number_reads_integers_decimals_and_infinity():
    assert [number(text) for text in ("20", "-3", "0.1", "1e-17", "inf")] == [20, -3, 0.1, 1e-17, float("inf")]


def test_require_space_refuses_an_empty_wandb_file(tmp_path):
    (tmp_path / "run-x.wandb").touch()
    with pytest.raises(OSError, match="holds anything"):
        require_space(tmp_path)
    (tmp_path / "run-x.wandb").write_text("x")
    require_space(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["run-x.wandb"]


def test_chart_uses_only_columns_of_its_table():
    import re

    from its.tracker.chart import COLUMNS, spec

    assert set(re.findall(r"\$\{field:(\w+)\}", json.dumps(spec()))) <= set(COLUMNS)
