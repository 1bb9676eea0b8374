"""The report folder as a whole."""

import csv
import io
from contextlib import redirect_stdout

import pandas as pd
import pytest

import its
from its.report.report import make_report
from its.report.runs import load_runs
from tests.report.conftest import fabricated_rows, writer


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


FIGURES = ("fid_vs_nfe", "fid_vs_flops", "fid_vs_seconds", "pareto", "hacking")
TABLES = {"curves.csv", "curves.parquet", "table.md", "table.tex", "index.html", "inputs.json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of two runs: its experiment's folder and what it printed."""
    parent = tmp_path_factory.mktemp("made")
    write = writer(parent)
    write("random", seed=3)
    rows = fabricated_rows("none", "classifier", 0, 1000, caps=(None,))
    rows[0] |= {"reward_mean_se": float("inf"), "a_new_metric": 0.1 + 0.2}
    write("none", rows=rows)
    with redirect_stdout(io.StringIO()) as printed:
        make_report(parent / "demo")
    return parent / "demo", printed.getvalue()


def test_report_writes_its_files_and_prints_table_figure_and_page(made):
    report, printed = made[0] / "report", made[1]
    assert set(contents(report)) == TABLES | {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert printed.splitlines()[-2:] == [str(report / "fid_vs_nfe.png"), str(report / "index.html")]
    assert "random" in printed


def test_parquet_is_the_frame(made):
    frame = its.load_sweep(made[0])
    pd.testing.assert_frame_equal(pd.read_parquet(made[0] / "report" / "curves.parquet"), frame)


def test_the_same_runs_give_the_same_bytes(made):
    first = contents(made[0] / "report")
    make_report(made[0])
    assert contents(made[0] / "report") == first


def test_curves_csv_has_every_number_to_the_last_digit(made):
    with (made[0] / "report" / "curves.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0])[:11] == [
        "name",
        "dataset",
        "model",
        "sampler",
        "search",
        "verifier",
        "budget",
        "metric",
        "seed",
        "run",
        "nfe_cap",
    ]
    expected = [(run, row) for run in load_runs(made[0]) for row in run.rows]
    assert len(table) == len(expected) == 5
    for line, (run, row) in zip(table, expected, strict=True):
        assert {key: line[key] for key in run.label} == run.label
        assert {key: float(line[key]) if line[key] else None for key in row} == row
    assert table[0]["a_new_metric"] == "0.30000000000000004"
    assert table[1]["a_new_metric"] == ""


def test_groups_get_a_figure_each_and_stale_figures_go(write_run, tmp_path, capsys):
    for images in (1000, 200):
        rows = fabricated_rows("random", "classifier", 0, images)
        write_run(
            "random",
            images=images,
            rows=[{key: row[key] for key in ("nfe_cap", "nfe", "images", "fid")} for row in rows],
        )
        make_report(tmp_path / "demo")
    names = [f"{name}_digits_digits_unconditional-ddim_{n}" for name in ("fid_vs_nfe", "pareto") for n in (200, 1000)]
    figures = {f"{name}.{kind}" for name in names for kind in ("png", "pdf")}
    assert set(contents(tmp_path / "demo" / "report")) == TABLES | figures
    assert sum(line.endswith(".png") for line in capsys.readouterr().out.splitlines()) == 3


def test_without_a_finished_run_it_says_so_and_writes_nothing(write_failure, tmp_path, capsys):
    write_failure(reason="ValueError: no")
    make_report(tmp_path / "demo")
    printed = capsys.readouterr().out
    assert printed.startswith(f"no finished runs under {tmp_path / 'demo'}")
    assert "ValueError: no" in printed
    assert not (tmp_path / "demo" / "report").exists()
