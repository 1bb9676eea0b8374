"""Every preset as a user smokes it: its whole sweep on tiny random twins, each run with a full finite curve."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import CONF

CURVES = {
    "digits_all": (32, [8, 16]),
    "digits_demo": (5, [4, 8]),
    "digits_hacking": (3, [4, 8]),
    "digits_oracle": (4, [4, 8]),
    "null_mixture": (15, [16, 80]),
    "phase1_cifar10": (10, [4, 8]),
    "tfg_cifar10": (1, [4]),
}
"""Runs, and the caps of each."""

SETS = {"schedule_digits": 2, "schedule_o2tdm": 2}
"""Searches over sets of images, which have scores in place of a curve."""

MEASURED = {"null_mixture": {"fid", "fid_se"}}
"""Columns of presets that measure less than the others."""

CHEAP = ("tfg_cifar10",)
PRESETS = [
    name if name in CHEAP else pytest.param(name, marks=pytest.mark.long)
    for name in sorted(path.stem for path in CONF.glob("experiment/*.yaml"))
]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_give_full_finite_curves_as_smoke_runs(tmp_path: Path, preset: str):
    command = [sys.executable, "run.py", "-m", f"experiment={preset}", "smoke=true", f"out_dir={tmp_path}"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path / "smoke" / preset
    if preset in SETS:
        scores = [rows_of(path) for path in folder.rglob("seed=*/sets.csv")]
        assert len(scores) == SETS[preset]
        assert all(math.isfinite(float(row["fid"])) for rows in scores for row in rows)
        return
    runs, caps = CURVES[preset]
    curves = {path: rows_of(path) for path in sorted(folder.rglob("seed=*/curve.csv"))}
    assert len(curves) == runs
    for path, rows in curves.items():
        assert [float(row["nfe_cap"]) for row in rows] == caps, path
        assert MEASURED.get(preset, {"fid", "isc", "kid", "precision", "accuracy"}) <= set(rows[0])
        assert all(math.isfinite(float(value)) for row in rows for value in row.values()), path
    assert (folder / "report" / "index.html").is_file()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))
