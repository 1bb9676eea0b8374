"""The command that a run records, pasted into a shell in the same folder, is that run again."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.build import CONF

SMALL = ["images=2", "shard=2", "sampler.steps=2", "~metric.kid", "~metric.prc", "~metric.isc", "reporting=none"]


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    """Run a line of shell in `folder`, where `python` is this interpreter and the folder's packages are found."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(folder)}
    return subprocess.run(command, shell=True, cwd=folder, env=environment, text=True, capture_output=True, timeout=200)


def test_command_typed_again_finds_the_run_that_it_made(tmp_path: Path):
    """With a choice and a plugin of one's own, quotes, commas, spaces and an axis of an experiment file."""
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom its.search.random import Random\n"
        "@dataclass(frozen=True)\nclass Own(Random):\n    note: str = ''\n"
    )
    choices = tmp_path / "my choices"
    for group in ("search", "experiment"):
        (choices / group).mkdir(parents=True)
    (choices / "search" / "own.yaml").write_text("_target_: mine.Own\nnote: ''\n")
    (choices / "experiment" / "two.yaml").write_text(
        "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {search.note: \"'it,s a','b; $HOME'\"}}}\n"
    )
    where = "\"hydra.searchpath=['file://my choices']\" 'plugins=[mine]' search=own out_dir=out"
    script = os.path.relpath(CONF.parent / "run.py", tmp_path)
    done = shell(f"python {script} experiment=two {where} {' '.join(SMALL)}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    runs = sorted(tmp_path.glob("out/**/metrics.json"))
    assert len(runs) == 2
    for run in runs:
        again = shell(json.loads(run.read_text())["command"] + " out_dir=out", tmp_path)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "nothing to do" in again.stdout
        assert str(run.parent.relative_to(tmp_path)) in again.stdout
    assert sorted(tmp_path.glob("out/**/metrics.json")) == runs
