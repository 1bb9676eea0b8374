"""The report folder as a whole."""

import csv
import io
import json
import subprocess
import sys
from contextlib import redirect_stdout

import pandas as pd
import pytest

import its
from its.disk.run_folder import RunFolder
from its.report.report import make_report
from its.report.runs import load_runs
from its.report.terminal import run_table
from scripts.status import main as status_main
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


def test_make_report_writes_its_files_and_prints_their_paths(made):
    report, printed = made[0] / "report", made[1]
    assert set(contents(report)) == TABLES | {f"{name}.{kind}" for name in FIGURES for kind in ("pdf", "png")}
    assert printed.splitlines()[-2:] == [str(report / "fid_vs_nfe.png"), str(report / "index.html")]
    assert "random" in printed


def test_curves_parquet_equals_load_sweep(made):
    frame = its.load_sweep(made[0])
    pd.testing.assert_frame_equal(pd.read_parquet(made[0] / "report" / "curves.parquet"), frame)


def test_make_report_writes_the_same_bytes_for_the_same_runs(made):
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


def test_make_report_draws_each_group_and_removes_stale_figures(write_run, tmp_path, capsys):
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


def test_make_report_without_a_finished_run_writes_no_file(write_failure, tmp_path, capsys):
    write_failure(reason="ValueError: no")
    make_report(tmp_path / "demo")
    printed = capsys.readouterr().out
    assert printed.startswith(f"no finished runs under {tmp_path / 'demo'}")
    assert "ValueError: no" in printed
    assert not (tmp_path / "demo" / "report").exists()


@pytest.fixture
def drawn(monkeypatch):
    """The titles of the figures that are drawn from now on."""
    from its.report import figures

    titles: list[str] = []
    as_files = figures.as_files

    def noted(figure):
        titles.append(figure.axes[0].get_xlabel())
        return as_files(figure)

    monkeypatch.setattr(figures, "as_files", noted)
    return titles


@pytest.fixture
def two_groups(write_run, tmp_path):
    """An experiment with two groups of runs and its report."""
    for images in (1000, 200):
        rows = fabricated_rows("random", "classifier", 0, images)
        write_run(images=images, rows=[{key: row[key] for key in ("nfe_cap", "nfe", "images", "fid")} for row in rows])
    make_report(tmp_path / "demo")
    return tmp_path / "demo"


def dates(report):
    return {path.name: path.stat().st_mtime_ns for path in report.iterdir()}


def test_make_report_redraws_no_unchanged_figure(two_groups, drawn):
    before = dates(two_groups / "report")
    make_report(two_groups)
    assert not drawn
    after = dates(two_groups / "report")
    assert {name: after[name] for name in before if name != "inputs.json"} == {
        name: before[name] for name in before if name != "inputs.json"
    }


@pytest.mark.long
def test_make_report_redraws_only_the_group_with_a_new_run(two_groups, drawn, write_run, monkeypatch):
    from its.report import page

    before = contents(two_groups / "report")
    sections = []
    whole = page._section
    monkeypatch.setattr(page, "_section", lambda section: sections.append(section.group.images) or whole(section))
    write_run("none", images=200)
    make_report(two_groups)
    after = contents(two_groups / "report")
    assert len(drawn) > 0
    changed = {name for name in before if after[name] != before[name]}
    assert all("_1000." not in name for name in changed)
    assert {name for name in before if "_200." in name} <= changed
    assert sections == [200]
    (two_groups / "report" / "index.html").unlink()
    make_report(two_groups)
    assert sections == [200, 200, 1000]
    assert contents(two_groups / "report") == after, "a kept section is the one that would be drawn"


@pytest.mark.parametrize("harm", ["deleted", "edited"])
def test_make_report_redraws_a_deleted_or_edited_figure(two_groups, drawn, harm):
    before = contents(two_groups / "report")
    (name,) = [name for name in before if name.startswith("pareto") and name.endswith("_200.png")]
    path = two_groups / "report" / name
    path.unlink() if harm == "deleted" else path.write_bytes(b"x")
    make_report(two_groups)
    assert len(drawn) == 1
    assert contents(two_groups / "report") == before


def test_make_report_redraws_every_figure_with_other_code(two_groups, drawn, monkeypatch):
    monkeypatch.setattr("its.report.section.code_digest", lambda: "another")
    make_report(two_groups)
    assert len(drawn) == 4


@pytest.mark.long
def test_make_report_redraws_after_a_change_in_timing(made, drawn):
    (run,) = [path.parent for path in made[0].rglob("metrics.json") if "none" in path.parts]
    (run / "timing.jsonl").write_text(json.dumps({"type": "H100", "its": "0"}) + "\n")
    make_report(made[0])
    assert drawn
    (run / "timing.jsonl").unlink()
    make_report(made[0])


def test_make_report_completes_a_killed_report(two_groups, drawn, write_run, monkeypatch):
    from its.report import figures

    write_run("none", images=200)
    as_files = figures.as_files

    def killed(figure):
        if drawn:
            raise KeyboardInterrupt
        return as_files(figure)

    monkeypatch.setattr(figures, "as_files", killed)
    with pytest.raises(KeyboardInterrupt):
        make_report(two_groups)
    monkeypatch.setattr(figures, "as_files", as_files)
    make_report(two_groups)
    whole = contents(two_groups / "report")
    for path in (two_groups / "report").iterdir():
        path.unlink()
    make_report(two_groups)
    assert contents(two_groups / "report") == whole


UNCHANGED = """
import sys
from pathlib import Path
from its.report.report import make_report
make_report(Path(sys.argv[1]))
print(sorted({"matplotlib", "pandas", "torch", "PIL"} & set(sys.modules)))
"""
TABLE = """
import sys
from pathlib import Path
from its.disk.run_folder import RunFolder
from its.report.terminal import run_table
print(run_table(RunFolder(Path(sys.argv[1]))))
print(sorted({"numpy", "matplotlib", "pandas", "torch"} & set(sys.modules)))
"""


@pytest.mark.parametrize("code", [UNCHANGED, TABLE], ids=["report", "table"])
def test_report_loads_no_heavy_library_without_drawing(two_groups, code):
    folder = two_groups if code == UNCHANGED else next(two_groups.rglob("metrics.json")).parent
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_run_table_lists_the_rows_of_the_run(two_groups, write_failure, tmp_path):
    run = RunFolder(next(two_groups.rglob("metrics.json")).parent)
    (record,) = load_runs(run.path)
    lines = run_table(run).splitlines()
    assert lines[0] == f"digits · digits_unconditional–ddim · {record.images:,} images"
    assert [line.split()[1] for line in lines[3:]] == ["5", "10", "20", "40"]
    assert "seed=0-deadbeef: ValueError: no" in run_table(RunFolder(write_failure(reason="ValueError: no")))
    assert run_table(RunFolder(tmp_path / "nowhere")) == ""


def test_report_table_and_status_follow_links_and_count_a_run_once(tmp_path, monkeypatch, capsys):
    rows = [{"nfe_cap": cap, "nfe": float(cap), "images": 9, "recall": 0.5} for cap in (5, 10)]
    run = writer(tmp_path / "old")("random", rows=rows)
    writer(tmp_path / "new")("zero_order", rows=rows)
    demo = tmp_path / "new" / "demo"
    for name, to in {"borrowed": run.parent, "again": run, "self": demo}.items():
        (demo / name).symlink_to(to)
    frame = its.load_sweep(demo)
    assert dict(zip(frame["search"], frame["run"].str.partition("/")[0], strict=True)) == {
        "random": "again",
        "zero_order": "digits",
    }
    assert len(frame) == 4

    make_report(demo)
    assert len(pd.read_parquet(demo / "report" / "curves.parquet")) == 4
    monkeypatch.setattr("sys.argv", ["status.py", str(demo)])
    status_main()
    assert capsys.readouterr().out.splitlines()[-1] == "2 finished"
