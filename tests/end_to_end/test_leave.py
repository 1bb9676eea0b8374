"""Ctrl-C on real runs: all of a sweep leaves in one line, and the same command goes on. Code that exits has failed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.build import CONF, contents, make_experiment

MIXTURE = ("dataset=mixture", "model=mixture", "budget.samplings=[1,2]", "~metric.kid", "~metric.prc")
LARGE = (*MIXTURE, "images=400", "shard=20", "sampler.steps=50")

EXITS = """
import sys
from dataclasses import dataclass
from its.search.random import Random
from its.verifier.null_rewards import NullRewards

@dataclass(frozen=True)
class Search(Random):
    def run(self, image):
        sys.exit(0)

class Verifier(NullRewards):
    def reward(self, images, conditions, *levels):
        raise KeyboardInterrupt
"""


def started(out_dir: Path, *words: str) -> subprocess.Popen:
    """Start a run as the leader of a group of its own, as a terminal does."""
    return subprocess.Popen(
        [sys.executable, "run.py", f"out_dir={out_dir}", *words],
        cwd=CONF.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{CONF.parent}:{out_dir}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def members(group: int) -> list[str]:
    """Return the command lines of the living processes of a group."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True).stdout.splitlines()
    fields = [line.split(None, 2) for line in listed]
    return [args for number, state, args in fields if int(number) == group and not state.startswith("Z")]


@pytest.mark.long
@pytest.mark.parametrize(
    "words", [(), ("workers=2",), ("-m", "hydra/launcher=local", "seed=0,1"), ("-m", "seed=0,1")], ids=" ".join
)
def test_run_script_leaves_on_ctrl_c_in_one_line_without_orphans_and_resumes(tmp_path, words):
    process = started(tmp_path, *LARGE, *words)
    while not list(tmp_path.rglob("shards/*.safetensors")):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == 130, said
    assert said.count("leaving") == 1
    assert said.endswith("SIGINT: leaving; finished shards are on disk, and the same command goes on\n")
    assert "Traceback" not in said
    assert members(process.pid) == []
    again = started(tmp_path, *LARGE, *words)
    said = again.communicate(timeout=600)[0]
    assert again.returncode == 0, said
    alone = make_experiment(tmp_path / "alone", *LARGE)
    alone.run()
    assert contents(make_experiment(tmp_path, *LARGE).folder) == contents(alone.folder)


def test_run_script_leaves_on_ctrl_c_while_it_starts(tmp_path):
    process = started(tmp_path, *LARGE)
    maps = Path(f"/proc/{process.pid}/task")
    while len(list(maps.iterdir())) < 2:  # until the thread that heeds signals is there
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 130
    assert said.count("\n") == 1, said


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("search._target_=leaves.Search", "SystemExit(0) was raised by the code of this run"),
        pytest.param("verifier._target_=leaves.Verifier", "KeyboardInterrupt()", marks=pytest.mark.long),
    ],
)
def test_run_script_fails_if_the_code_of_a_run_ends_its_process(tmp_path, word: str, told: str):
    (tmp_path / "leaves.py").write_text(EXITS)
    more = ["verifier=null_rewards"] if word.startswith("verifier") else []
    process = started(tmp_path, *MIXTURE, *more, "images=4", "plugins=[leaves]", word)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 1, said
    [failure] = tmp_path.rglob("failed.json")
    assert told in json.loads(failure.read_text())["reason"]
