"""The report folder as a whole."""

import csv

from its.report.report import make_report
from its.report.runs import load_runs


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_report_writes_its_files_and_prints_table_and_figure(write_run, tmp_path, capsys):
    write_run("none")
    write_run("random")
    make_report(tmp_path / "demo")
    report = tmp_path / "demo" / "report"
    assert sorted(contents(report)) == ["curves.csv", "fid_vs_nfe.pdf", "fid_vs_nfe.png", "table.md"]
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(report / "fid_vs_nfe.png")
    assert "random" in printed


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
    names = [f"fid_vs_nfe_digits_digits_unconditional-ddim_{n}" for n in (200, 1000)]
    figures = {f"{name}.{kind}" for name in names for kind in ("png", "pdf")}
    assert set(contents(tmp_path / "demo" / "report")) == {"curves.csv", "table.md"} | figures
    assert sum(line.endswith(".png") for line in capsys.readouterr().out.splitlines()) == 3


def test_without_a_finished_run_it_says_so_and_writes_nothing(write_failure, tmp_path, capsys):
    write_failure(reason="ValueError: no")
    make_report(tmp_path / "demo")
    printed = capsys.readouterr().out
    assert printed.startswith(f"no finished runs under {tmp_path / 'demo'}")
    assert "ValueError: no" in printed
    assert not (tmp_path / "demo" / "report").exists()
