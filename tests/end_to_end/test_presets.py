"""Every preset as a user smokes it: its whole sweep on tiny random twins, each run with a full finite curve."""

import csv
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.build import CONF
from tests.config.test_configs import ASKED

CURVES = {
    "digits_all": (44, [8, 16]),
    "digits_demo": (5, [4, 8]),
    "digits_hacking": (3, [4, 8]),
    "digits_oracle": (4, [4, 8]),
    "digits_recent": (12, [40, 160]),
    "digits_recent_starts": (7, [40, 160]),
    "drawbench_flux": (25, [56, 80]),
    "evosearch_flux": (3, [118]),
    "evosearch_sd15": (3, [160]),
    "fk_sdxl": (3, [32]),
    "flux2_klein_ses": (1, [40, 80]),
    "null_mixture": (23, [16, 80]),
    "phase1_cifar10": (10, [4, 8]),
    "pg_map_sd35": (3, [13]),
    "rbf_flux": (4, [80]),
    "ses_flux2": (3, [40, 80]),
    "svdd_sd15": (3, [160]),
    "tfg_cifar10": (1, [4]),
    "trs_sana_sprint": (4, [20, 40]),
    "trs_sd15": (4, [80, 160]),
    "trs_sdxl_lightning": (4, [40, 80]),
    "tt_scale": (2, [8, 24]),
}
"""Runs, and the caps of each."""

SETS = {"schedule_digits": 2, "schedule_o2tdm": 2}
"""Searches over sets of images, which have scores in place of a curve."""

RELATIVE = ("reward_mean", "reward_mean_se")
"""Columns that a rank ensemble has nothing for."""

MEASURED = {"null_mixture": {"fid", "fid_se"}, "drawbench_flux": {"report_hps", "report_clip_score", "pairwise"}}
MEASURED |= {name: {"report_image_reward"} for name in ("flux2_klein_ses", "ses_flux2", "svdd_sd15", "tt_scale")}
MEASURED |= {name: {"report_hps"} for name in ("evosearch_flux", "evosearch_sd15", "fk_sdxl", "rbf_flux")}
MEASURED["pg_map_sd35"] = {"report_pick_score", "report_hps_v20", "pairwise"}
MEASURED |= {name: {"report_hps"} for name in ("trs_sana_sprint", "trs_sd15", "trs_sdxl_lightning")}
"""Columns of presets that measure less than the others."""

CHEAP = ("tfg_cifar10",)
PRESETS = [
    name if name in CHEAP else pytest.param(name, marks=pytest.mark.long)
    for name in sorted(path.stem for path in CONF.glob("experiment/*.yaml"))
]


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_give_full_finite_curves_as_smoke_runs(tmp_path: Path, preset: str):
    words = [f"experiment={preset}", *ASKED.get(preset, []), "smoke=true", f"out_dir={tmp_path}"]
    command = [sys.executable, "run.py", "-m", *words]
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
        given = [value for row in rows for key, value in row.items() if not is_unknown(key, row, path)]
        assert all(math.isfinite(float(value)) for value in given), path
    assert (folder / "report" / "index.html").is_file()


def is_unknown(column: str, row: dict[str, str], path: Path) -> bool:
    """Return whether a column is rightly empty: a rank ensemble's reward, and the error of a single image."""
    return ("ensemble" in str(path) and column in RELATIVE) or (row["images"] == "1" and column.endswith("_se"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))
