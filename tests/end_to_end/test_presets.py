"""Every preset as a user smokes it: its whole sweep on tiny random twins, each run with a full finite curve."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.runs import CONF

SIZES = {"digits_demo": (5, 2), "digits_hacking": (3, 2), "phase1_cifar10": (10, 2), "tfg_cifar10": (1, 1)}
"""Runs, and the caps of each."""


@pytest.mark.long
@pytest.mark.parametrize("preset", sorted(path.stem for path in CONF.glob("experiment/*.yaml")))
def test_a_preset_smokes_to_full_finite_curves(tmp_path: Path, preset: str):
    command = [sys.executable, "run.py", "-m", f"experiment={preset}", "smoke=true", f"out_dir={tmp_path}"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    runs, caps = SIZES[preset]
    curves = sorted((tmp_path / "smoke" / preset).rglob("seed=*/curve.csv"))
    assert len(curves) == runs
    for curve in curves:
        with curve.open() as file:
            rows = list(csv.DictReader(file))
        assert [float(row["nfe_cap"]) for row in rows] == [4.0, 8.0][:caps]
        assert {"fid", "isc", "kid", "precision", "accuracy"} <= set(rows[0])
        assert all(math.isfinite(float(value)) for row in rows for value in row.values()), curve
    assert (tmp_path / "smoke" / preset / "report" / "index.html").is_file()
