"""A mistake in a search of one's own, as its author meets it: one sentence with the line, once, and exit code 1."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import CONF

CLIMB = """\
from dataclasses import dataclass
from its import Search, advance, reward

@dataclass(frozen=True)
class Climb(Search):
    def run(self, image):
        particles = yield advance(image.start())
        1 / (5 - image.problem.index)
        yield reward(particles)
"""


def run(folder: Path, code: str, *words: str) -> tuple[int, str]:
    """Run `climb` of a package that holds `code`; return the exit code and all that is printed."""
    package = folder / "mine"
    (package / "conf" / "search").mkdir(parents=True, exist_ok=True)
    (package / "climb.py").write_text(code)
    (package / "conf" / "search" / "climb.yaml").write_text("_target_: mine.climb.Climb\n")
    theirs = [f"plugins=[{package}]", f"hydra.searchpath=['file://{package}/conf']"]
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent), "OMP_NUM_THREADS": "1"}
    small = ["images=8", "shard=2", "batch=2", "sampler.steps=2", "budget.samplings=[1]", "metric=fid"]
    command = [sys.executable, str(CONF.parent / "run.py"), "search=climb", *theirs, "out_dir=out", *small, *words]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
def test_error_in_a_search_is_told_once_and_what_is_finished_stays(tmp_path: Path):
    code, text = run(tmp_path, CLIMB)
    place = f"{tmp_path}/mine/climb.py"
    assert code == 1
    assert text.count("ZeroDivisionError") == 1
    assert f"{place}:8: Climb, image 5: raised ZeroDivisionError: division by zero\n" in text
    assert f'  File "{place}", line 8, in run\n    1 / (5 - image.problem.index)\n' in text
    assert "its/engine" not in text
    [record] = tmp_path.rglob("failed.json")
    assert f"{place}:8: Climb, image 5: raised ZeroDivisionError" in json.loads(record.read_text())["reason"]
    assert "division by zero" in json.loads(record.read_text())["traceback"]
    assert (record.parent / "shards" / "00000000.safetensors").is_file()

    # Mended, the same command says that other code made what is there.
    code, text = run(tmp_path, CLIMB.replace("1 / (5 - image.problem.index)", "pass"), "allow_edited=true")
    assert code == 0, text


@pytest.mark.long
def test_smoke_run_finds_global_random_numbers_of_a_late_image(tmp_path: Path):
    draws = CLIMB.replace("1 / (5", "import random; image.problem.index == 7 and random.random() or (5")
    code, text = run(tmp_path, draws, "smoke=true")
    assert code == 1
    assert f"{tmp_path}/mine/climb.py:7: Climb, image 7: drew from random before line 9; a rerun would" in text
