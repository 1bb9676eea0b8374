"""A stranger's package, named by its folder: runs from elsewhere, workers, a launcher, and what comes afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import CONF

SEARCH = (
    "from dataclasses import dataclass\nfrom strange.parts import NoSearch\n"
    "@dataclass(frozen=True)\nclass Mine(NoSearch):\n    pass\n"
)
VERIFIER = (
    "from its import Verifier\nclass Dark(Verifier):\n    absolute = True\n"
    "    def reward(self, images, conditions):\n        return -images.float().mean(dim=(1, 2, 3))\n"
)


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A package in a folder, beside one that is empty and in which its author stands."""
    files = {
        "search.py": SEARCH,
        "parts.py": "from its.search.none import NoSearch\n",
        "verifier.py": VERIFIER,
        "conf/search/mine.yaml": "_target_: strange.search.Mine\n",
        "conf/verifier/dark.yaml": "_target_: strange.verifier.Dark\n",
    }
    for name, text in files.items():
        path = tmp_path / "their code" / "strange" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def python(folder: Path, script: str, *words: str) -> str:
    """Run a script of the clone from a folder, and return what it says."""
    environment = {**os.environ, "PYTHONPATH": str(CONF.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(CONF.parent / script), *words]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.long
def test_plugins_serve_every_process_of_a_run_and_every_script(stranger: Path):
    theirs = ["plugins=['../their code/strange']", "hydra.searchpath=['file://../their code/strange/conf']"]
    small = ["images=8", "shard=2", "sampler.steps=3", "budget.samplings=[1]", "metric=fid", "reporting=none"]
    mine = ["search=mine", *theirs, *small, "keep_candidates=true", "sampler.eta=0", "out_dir=out"]

    # Plan, smoke, a run by two workers; the same by a launcher, which finds it done; in another folder too.
    assert "NFE to spend" in python(stranger, "run.py", *mine, "plan=true")
    python(stranger, "run.py", *mine, "smoke=true")
    assert "ended with exit codes" not in python(stranger, "run.py", *mine, "workers=2")
    assert "1 finished before" in python(stranger, "run.py", *mine, "hydra/launcher=local")
    python(stranger, "run.py", "-m", *mine, "hydra/launcher=local", "seed=1,2", "hydra.launcher.jobs=2")
    runs = sorted((stranger / "out" / "default").rglob("seed=*/metrics.json"))
    assert len(runs) == 3
    command = json.loads(runs[0].read_text())["command"]
    assert f"{stranger.parent}/their code/strange/conf" in command

    # What is made of it afterwards.
    folder = str(runs[0].parent)
    assert "dark" in python(stranger, "scripts/rescore.py", folder, "verifier=dark", *theirs)
    python(stranger, "scripts/render.py", folder, "sampler.steps=5", *theirs)
    python(stranger, "scripts/prefetch.py", "--check", *mine)
