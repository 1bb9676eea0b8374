"""A process's sign of life says who works on a run, and is believed for as long as the kernel vouches for it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.process import alive as room
from its.process.alive import PREFIX, alive, processes, tell
from its.process.source_tree import ROOT

WORK = """
import os, sys, time
from pathlib import Path
from its.process.alive import alive, tell
from its.process.leave import leave_on_signals
leave_on_signals()
with alive(Path(sys.argv[1])):
    tell(made=3)
    child = os.fork() if sys.argv[2] == "fork" else None
    if child != 0:
        print("ready", flush=True)
    time.sleep(60 if child != 0 else 10)
"""


def at_work(folder: Path, how: str = "alone") -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", WORK, str(folder), how], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    return process


def sign(folder: Path, host: str, *, locked: bool = True) -> Path:
    path = folder / f"{PREFIX}{host}.7.json"
    path.write_text(json.dumps({"locked": locked, "job": "5_0", "work": {}}))
    return path


def test_alive_shows_this_process_and_its_work_while_the_block_lasts(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BEAT_S", 0.01)
    with alive(tmp_path / "run"):
        tell(made=1)
        tell(made=2, images=9)
        deadline = time.monotonic() + 30
        while not (process := processes(tmp_path / "run")[0]).work:
            assert time.monotonic() < deadline
        assert (process.pid, process.life, process.work) == (os.getpid(), "running", {"made": 2, "images": 9})
        assert process.user == os.getuid()
        assert process.silent < 60
    assert not (tmp_path / "run").exists(), "it never began"


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_processes_know_a_killed_one_also_while_its_forks_live(tmp_path, how):
    process = at_work(tmp_path, how)
    assert [each.life for each in processes(tmp_path)] == ["running"]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5
    while (seen := [(each.pid, each.life) for each in processes(tmp_path)]) != [(process.pid, "killed")]:
        assert time.monotonic() < deadline, seen
    with alive(tmp_path):
        assert [each.pid for each in processes(tmp_path)] == [os.getpid()], "who goes on takes the dead one's place"


def test_alive_leaves_no_sign_of_a_process_that_leaves_in_order(tmp_path):
    process = at_work(tmp_path)
    process.terminate()
    process.wait(timeout=20)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["elsewhere", "no locks"])
def test_processes_guess_nothing_where_no_lock_tells(tmp_path, how):
    path = (
        sign(tmp_path, "elsewhere") if how == "elsewhere" else sign(tmp_path, room.socket.gethostname(), locked=False)
    )
    os.utime(path, (time.time() - 600,) * 2)
    [process] = processes(tmp_path)
    assert (process.life, process.job) == ("unknown", "5_0")
    assert 590 < process.silent < 660
    with alive(tmp_path):
        assert path.exists()
    os.utime(path, (time.time() - room.OLD_S - 1,) * 2)
    with alive(tmp_path):
        assert not path.exists(), "after a day"


def test_processes_pass_over_what_is_no_sign(tmp_path):
    for content in ("", "{}", "[1]", '{"locked": true, "job": "", "wo'):
        (tmp_path / f"{PREFIX}here.1.json").write_text(content)
        assert processes(tmp_path) == []
