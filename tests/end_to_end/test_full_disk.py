"""What cannot be written: one error with the file's name, and nothing of what stands is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import CONF, contents, make_experiment

SIZE = ("images=40", "shard=20", "sampler.steps=4", "budget.samplings=[1,2]")
LIMITED = (
    "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, {bytes})); "
    "runpy.run_path('run.py', run_name='__main__')"
)


def run(out_dir: Path, *words: str, largest: int) -> subprocess.CompletedProcess[str]:
    """A run whose files may not grow beyond `largest` bytes."""
    command = [sys.executable, "-c", LIMITED.format(bytes=largest), f"out_dir={out_dir}", *SIZE, *words]
    return subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=120)


def test_full_disk_ends_the_run_and_the_next_run_completes_it(tmp_path):
    done = run(tmp_path, largest=3072)
    assert done.returncode == 1
    assert "File too large: " in done.stdout + done.stderr
    assert "shards/00000000.safetensors" in done.stdout + done.stderr
    again, fresh = make_experiment(tmp_path, *SIZE), make_experiment(tmp_path / "fresh", *SIZE)
    assert not list(again.folder.glob("shards/*")), "neither a part of it nor a temporary file"
    again.run()
    fresh.run()
    made = contents(again.folder)
    assert "File too large" in made.pop("failed.json", b"File too large").decode()
    assert made == contents(fresh.folder)


@pytest.mark.long
def test_run_script_fails_if_its_report_cannot_be_written(tmp_path):
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "report").touch()
    done = run(tmp_path, "reporting=each", largest=2**30)
    assert done.returncode == 1
    assert "failed: the report: " in done.stdout + done.stderr
