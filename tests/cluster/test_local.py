"""A sweep as processes of this machine: what it costs is said first, and one that fails stops no other."""

import os
import subprocess
import sys
from pathlib import Path

from tests.build import CONF, blueprint_of, numbers, obstruct

SMALL = (
    "images=20",
    "shard=10",
    "sampler.steps=3",
    "batch=16",
    "search=random",
    "budget.samplings=null",
    "~metric.kid",
    "~metric.prc",
    "~metric.isc",
)


def test_local_launcher_finishes_the_sweep_despite_refused_and_failed_runs(tmp_path: Path):
    six, nine = (blueprint_of(tmp_path, *SMALL, f"budget.nfe=[{cap}]").folder for cap in (6, 9))
    obstruct(nine)
    command = [
        sys.executable,
        "run.py",
        "-m",
        "hydra/launcher=local",
        f"out_dir={tmp_path}",
        *SMALL,
        "budget.nfe=[1],[6],[9]",
    ]
    done = subprocess.run(
        command,
        cwd=CONF.parent,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    spent = sum(20 * float(row["nfe"]) for row in numbers(six))
    first = said.index(f"3 runs: 0 finished before, 2 to make, {spent + 20 * 9:.0f} NFE to spend")
    assert first < said.index("finished budget.nfe=[6]"), "named by what tells it from the others"
    table = {line.split("budget.nfe=")[1][:3]: line for line in said.splitlines() if " -  " in line}
    states = {"[1]": "failed", "[6]": "finished", "[9]": "failed"}
    assert all(f"  {state} " in table[cap] for cap, state in states.items())

    # Each failure is told once, where people look last.
    refused, broken = said.splitlines()[-2:]
    assert "failed: budget.nfe=[1]: " in refused
    assert "failed: budget.nfe=[9]: NotADirectoryError" in broken
    assert said.count("cap of 1 NFE is below the 3 NFE") == said.count("NotADirectoryError") == 1
