"""The last line of a batch script: which jobs go back to the queue, asked of a controller that is a script."""

import os
import subprocess
from pathlib import Path

import pytest

from its.process.source_tree import ROOT


@pytest.fixture
def controller(tmp_path: Path):
    """Run requeue.sh after exit code `code`, with squeue saying `state`; return its code and what was requeued."""

    def run(code: int, state: str, **environment: str) -> tuple[int, list[str]]:
        asked = tmp_path / "requeued"
        for name, body in {
            "squeue": f"echo {state}" if state else "exit 1",
            "sleep": ":",
            "scontrol": f'echo "$2" >> {asked}',
        }.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(
            ["bash", ROOT / "slurm" / "requeue.sh", str(code)],
            text=True,
            capture_output=True,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12", **environment},
        )
        return done.returncode, asked.read_text().split() if asked.exists() else []

    return run


@pytest.mark.parametrize("code", [138, 140, 143])
def test_requeue_script_requeues_a_running_job_after_a_signal(controller, code: int):
    assert controller(code, "RUNNING") == (code, ["12"])


@pytest.mark.parametrize(
    ("code", "state"),
    [(143, "COMPLETING"), (143, "CANCELLED"), (0, "RUNNING"), (1, "RUNNING"), (137, "RUNNING"), (143, "")],
)
def test_requeue_script_leaves_ended_and_failed_jobs(controller, code: int, state: str):
    assert controller(code, state) == (code, [])


def test_requeue_script_requeues_only_its_own_array_task(controller):
    assert controller(143, "RUNNING", SLURM_ARRAY_JOB_ID="12", SLURM_ARRAY_TASK_ID="3") == (143, ["12_3"])
