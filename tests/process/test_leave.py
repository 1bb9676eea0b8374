"""A process leaves within seconds of a signal, also from the midst of a long call; its children go with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from its.process.leave import SIGNALS
from its.process.source_tree import ROOT

BUSY = """
import hashlib, sys
from its.process import leave
leave.leave_on_signals()
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"x", b"x", 2_000_000_000) if sys.argv[1] == "library" else exec("while True: pass")
"""

PARENT = """
import subprocess, sys
from its.process import leave
leave.leave_on_signals()
child = subprocess.Popen([sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"])
leave.children.append(child)
print(child.pid, flush=True)
child.wait()
"""

FORK = """
import os, signal, time
from its.process import leave
leave.leave_on_signals()
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
time.sleep(0.2)
os.kill(child, signal.SIGTERM)
print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""


STUBBORN = """
import subprocess, sys, time
from its.process import leave
leave.leave_on_signals()
leave.PATIENCE_S = float(sys.argv[1])
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
child = leave.start([sys.executable, "-c", f"{deaf}; print('ready', flush=True); time.sleep(60)"])
print(child.pid, flush=True)
print("went on", leave.ended(child), flush=True)
leave.start(["sleep", "61"])
print("and on", flush=True)
"""

EXITS = """
from its.process.leave import exits_as_errors
with exits_as_errors():
    {call}
"""


def start(script: str, *arguments: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("number", "busy"),
    [
        (signal.SIGINT, "library"),
        (signal.SIGINT, "python"),
        (signal.SIGHUP, "library"),
        (signal.SIGTERM, "library"),
        (signal.SIGUSR1, "python"),
        (signal.SIGUSR2, "library"),
    ],
)
def test_leave_on_signals_exits_with_the_code_of_the_signal(number: signal.Signals, busy: str):
    process = start(BUSY, busy)
    assert process.stdout.readline() == "ready\n"
    sent = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert time.monotonic() - sent < 5
    assert said.startswith(f"{number.name}: leaving")
    assert said.count("\n") == 1


def child_of(process: subprocess.Popen) -> int:
    """Return the id of a process's child once both are ready."""
    lines = {process.stdout.readline().strip(), process.stdout.readline().strip()}
    return int((lines - {"ready"}).pop())


def is_gone(child: int) -> bool:
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_leave_on_signals_ends_the_children(number: signal.Signals):
    process = start(PARENT)
    child = child_of(process)
    process.send_signal(number)
    assert process.wait(timeout=300) == 128 + number
    assert is_gone(child)


def test_leave_on_signals_stays_on_a_hangup_under_nohup():
    process = start("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" + BUSY, "python")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143


def test_leave_on_signals_kills_a_child_that_stays_and_does_nothing_more():
    process = start(STUBBORN, "1")
    child = child_of(process)
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert said.count("\n") == 1
    assert told == "", "what comes after the child's end does not begin"
    assert is_gone(child)


def test_leave_on_signals_ends_at_once_on_a_second_interrupt():
    process = start(STUBBORN, "300")
    child = child_of(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None, "it waits for its child"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert is_gone(child)


def test_leave_on_signals_lets_a_worker_go_without_a_word():
    process = start(BUSY, "python", ITS_RANK="1")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=300) == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize("call", ["raise SystemExit", "import sys; sys.exit(0)", "raise KeyboardInterrupt"])
def test_exits_as_errors_lets_no_code_end_its_process(call: str):
    process = start(EXITS.format(call=call))
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "was raised by the code of this run, which may fail, not end its process" in said


def test_leave_on_signals_lets_a_fork_die_of_the_signal():
    process = start(FORK)
    assert process.communicate(timeout=300)[0].strip() == str(int(signal.SIGTERM))


def test_leave_on_signals_fails_at_the_time_limit_without_a_shard(tmp_path: Path):
    """The controller is a script that says the job has run 55 of its 60 minutes."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\necho JobState=RUNNING RunTime=00:55:00 TimeLimit=01:00:00 PreemptTime=None\n")
    scontrol.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "7",
        "ITS_STATUS": str(tmp_path / "0.0.json"),
    }
    shard = tmp_path / "shards" / "0.safetensors"
    begun = BUSY.replace("print(", f"leave.begins(__import__('pathlib').Path({str(tmp_path)!r})); print(")
    for finished, code in ((False, 1), (True, 128 + signal.SIGUSR2)):
        process = start(begun, "library", **environment)
        assert process.stdout.readline() == "ready\n"
        if finished:
            shard.parent.mkdir()
            shard.touch()
        process.send_signal(signal.SIGUSR2)
        _, said = process.communicate(timeout=300)
        assert process.returncode == code, said
        assert ("the time limit of 01:00:00 is over before one shard" in said) == (not finished)
    assert "lower shard" in (tmp_path / "0.0.json").read_text()
    assert SIGNALS == (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
