"""A sweep as a table."""

import subprocess
import sys

import pytest

import its
from its.report.runs import load_runs


def test_load_sweep_has_every_number_of_every_curve(write_run, tmp_path):
    write_run("none", seed=1)
    write_run("zero_order", extra="search.cosine=0.8")
    frame = its.load_sweep(tmp_path / "demo")
    rows = [(run, row) for run in load_runs(tmp_path / "demo") for row in run.rows]
    assert len(frame) == len(rows) == 8
    for (_, line), (run, row) in zip(frame.iterrows(), rows, strict=True):
        assert {key: line[key] for key in row} == row
        assert (line["search"], line["seed"], line["run"]) == (run.search, int(run.seed), run.folder.as_posix())
    assert frame["settings"].tolist()[-1] == "experiment=demo search.cosine=0.8"
    assert frame["seed"].dtype == "int64"
    assert frame["fid"].dtype == frame["nfe_cap"].dtype == "float64"


def test_load_sweep_fills_missing_numbers_with_nan(write_run, rows_of, tmp_path):
    write_run("more_steps", rows=rows_of("more_steps", "classifier", 0, 1000, caps=(None,)))
    (row,) = rows_of("none", "classifier", 0, 1000, caps=(5,))
    write_run("none", rows=[{key: row[key] for key in row if key != "kid"}])
    frame = its.load_sweep(tmp_path).set_index("search")
    assert frame["nfe_cap"].isna().to_dict() == {"more_steps": True, "none": False}
    assert frame["kid"].isna().to_dict() == {"more_steps": False, "none": True}


def test_load_sweep_refuses_a_folder_without_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match="give <out_dir>/<experiment>"):
        its.load_sweep(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no finished run below .*scripts/status\.py"):
        its.load_sweep(tmp_path)


def test_its_package_imports_no_heavy_library():
    code = "import sys, its; print(sorted({'torch', 'pandas', 'numpy', 'matplotlib', 'wandb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
