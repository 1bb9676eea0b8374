"""`scripts/status.py` says what became of a run, and never guesses about a process that it cannot see."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.disk.run_folder import RunFolder
from its.process.alive import PREFIX, Process
from its.process.progress import Count
from its.process.source_tree import ROOT
from scripts.status import life, status
from tests.process.test_alive import at_work

COMMAND = [sys.executable, "scripts/status.py"]


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a run with two shards and no end."""
    run = tmp_path / "run"
    (run / "shards").mkdir(parents=True)
    (run / "config.yaml").write_text("shard: 10\n")
    for first in (0, 10):
        (run / "shards" / f"{first:08d}.safetensors").touch()
    return run


def elsewhere(run: Path, minutes: float, **content: object) -> None:
    path = run / f"{PREFIX}node7.42.json"
    path.write_text(json.dumps({"locked": True, "job": "", "work": {}, **content}))
    os.utime(path, (time.time() - 60 * minutes,) * 2)


def test_status_script_tells_a_killed_run_from_a_running_and_a_stopped_one(begun: Path):
    def said() -> str:
        done = subprocess.run([*COMMAND, str(begun.parent)], cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    process = at_work(begun)
    assert said().startswith("running   ")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert said().startswith(f"killed    process {process.pid} on ")
    assert "2 shards are there; the same command goes on" in said()
    process = at_work(begun)
    process.terminate()
    process.wait()
    assert said().startswith("stopped   2 shards of 10 images are there; the same command goes on")


def test_status_says_when_a_process_elsewhere_was_last_heard_of(begun: Path):
    elsewhere(begun, minutes=12)
    assert status(RunFolder(begun)).startswith(
        "silent    last sign of life 12 minutes ago: process 42 on node7; 2 shards"
    )


def test_status_asks_the_queue_for_a_job_elsewhere(begun: Path):
    elsewhere(begun, minutes=12, job="5_0", work=vars(Count(40, 40, 20, 200, 10.0)))
    said = status(RunFolder(begun), jobs={"5_0": "RUNNING"})
    assert said == (
        "running   20/40 images, 2.0 images/s, 20 NFE/s, 10 s left; 2 shards are there; process 42 on node7 of job 5_0"
    )
    assert status(RunFolder(begun), jobs={}).startswith("killed    process 42 on node7 of job 5_0 is gone")
    assert status(RunFolder(begun)).startswith("silent ")


def test_life_of_another_user_or_without_an_answer_stays_unknown():
    process = Process("node7", 42, "5_0", os.getuid() + 1, {}, 9.0, "unknown")
    assert life(process, {}) == "unknown"
    mine = Process("node7", 42, "5_0", os.getuid(), {}, 9.0, "unknown")
    assert life(mine, None) == "unknown"
    assert life(mine, {"5_0": "PENDING"}) == "killed", "it is requeued"


def test_status_believes_what_was_told_after_the_last_sign(begun: Path):
    elsewhere(begun, minutes=12)
    RunFolder(begun).write_failure("ValueError: no", "")
    assert status(RunFolder(begun)) == "failed    2 shards are there; ValueError: no"
    elsewhere(begun, minutes=-1)
    assert status(RunFolder(begun)).startswith("silent "), "somebody went on since"
