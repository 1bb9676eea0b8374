"""The report folder as a whole."""

import csv
import time

import pandas as pd
import pytest

import its
from its.report.report import make_report
from its.report.runs import load_runs


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


FIGURES = ("fid_vs_nfe", "fid_vs_flops", "fid_vs_seconds", "pareto", "hacking")
TABLES = {"curves.csv", "curves.parquet", "table.md", "table.tex", "index.html"}


def test_report_writes_its_files_and_prints_table_figure_and_page(write_run, tmp_path, capsys):
    write_run("none")
    write_run("random")
    make_report(tmp_path / "demo")
    report = tmp_path / "demo" / "report"
    assert set(contents(report)) == TABLES | {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    printed = capsys.readouterr().out
    assert printed.splitlines()[-2:] == [str(report / "fid_vs_nfe.png"), str(report / "index.html")]
    assert "random" in printed


def test_parquet_is_the_frame(write_run, tmp_path):
    write_run("random", seed=3)
    make_report(tmp_path / "demo")
    frame = its.load_sweep(tmp_path / "demo")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "demo" / "report" / "curves.parquet"), frame)


def test_the_same_runs_give_the_same_bytes(write_run, tmp_path):
    write_run("random")
    make_report(tmp_path / "demo")
    first = contents(tmp_path / "demo" / "report")
    make_report(tmp_path / "demo")
    assert contents(tmp_path / "demo" / "report") == first


def test_curves_csv_has_every_number_to_the_last_digit(write_run, rows_of, tmp_path):
    write_run("random", seed=3)
    rows = rows_of("none", "classifier", 0, 1000, caps=(None,))
    rows[0] |= {"reward_mean_se": float("inf"), "a_new_metric": 0.1 + 0.2}
    write_run("none", rows=rows)
    make_report(tmp_path / "demo")
    with (tmp_path / "demo" / "report" / "curves.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0])[:11] == ["name", "dataset", "model", "sampler", "search", "verifier", "budget", "metric",
                                   "seed", "run", "nfe_cap"]
    expected = [(run, row) for run in load_runs(tmp_path / "demo") for row in run.rows]
    assert len(table) == len(expected) == 5
    for line, (run, row) in zip(table, expected, strict=True):
        assert {key: line[key] for key in run.label} == run.label
        assert {key: float(line[key]) if line[key] else None for key in row} == row
    assert table[0]["a_new_metric"] == "0.30000000000000004"
    assert table[1]["a_new_metric"] == ""


def test_groups_get_a_figure_each_and_stale_figures_go(write_run, tmp_path, capsys):
    write_run("random")
    make_report(tmp_path / "demo")
    write_run("random", images=200)
    make_report(tmp_path / "demo")
    names = [f"{name}_digits_digits_unconditional-ddim_{n}" for name in FIGURES for n in (200, 1000)]
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


@pytest.mark.long
def test_a_hundred_runs_take_less_than_thirty_seconds(write_run, tmp_path):
    for search in ("none", "more_steps", "random", "zero_order", "bfs_resample", "paths", "ses", "svdd", "beam", "fk"):
        for seed in range(10):
            write_run(search, seed=seed)
    started = time.process_time()
    make_report(tmp_path / "demo")
    assert time.process_time() - started < 30, "one thread; the clock on the wall depends on who else is here"
