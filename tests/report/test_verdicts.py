"""Verdicts from outside in the report: beside a run's own numbers, and by tag, against pandas."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from its.disk.run_folder import RunFolder
from its.disk.verdicts import Verdicts
from its.report.panels import cost_panels
from its.report.report import make_report
from its.report.runs import load_runs
from its.report.series import series_of
from its.report.shares import shares_of, with_verdicts
from its.report.verdicts import judged_columns, summary_of, verdict_tables

TAGS = ("<b>|</b>", "$a_b$", "<b>|</b>", "\x1b[31m", "$a_b$", "$a_b$", "\x1b[31m", "<b>|</b>")
CORRECT = (1.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.0, 1.0)
VERDICTS = Verdicts("geneval", 8, CORRECT, TAGS, "source", "files")


def test_shares_of_are_those_of_pandas():
    frame = pd.DataFrame({"correct": CORRECT, "tag": TAGS})
    whole, mean, by_tag = shares_of([VERDICTS])
    assert whole == pytest.approx((frame.correct.mean(), frame.correct.sem()))
    groups = frame.groupby("tag", sort=False).correct
    assert {tag: share[0] for tag, (share, _) in by_tag.items()} == pytest.approx(groups.mean().to_dict())
    assert {tag: share[1] for tag, (share, _) in by_tag.items()} == pytest.approx(groups.sem().to_dict())
    assert mean == pytest.approx((groups.mean().mean(), (groups.sem() ** 2).sum() ** 0.5 / groups.ngroups))
    assert mean[0] != pytest.approx(whole[0]), "GenEval's overall score is no mean over images"
    assert shares_of([VERDICTS, replace(VERDICTS, correct=(0.0,) * 8)])[0][0] == pytest.approx(frame.correct.mean() / 2)


def test_shares_of_verdicts_without_tags_have_no_mean_of_tags():
    assert shares_of([replace(VERDICTS, tags=())])[1:] == (None, {})


@pytest.mark.parametrize(
    ("change", "there"),
    [({}, True), ({"cap": 4}, False), ({"cap": None}, False), ({"correct": CORRECT[:7], "tags": TAGS[:7]}, False)],
)
def test_with_verdicts_adds_columns_to_the_row_that_was_judged(change, there):
    row = {"nfe_cap": 8, "nfe": 8.0, "images": 8, "reward_mean": 0.3}
    added = with_verdicts(row, [replace(VERDICTS, **change)])
    names = ("verdict_geneval", "verdict_geneval_se", "verdict_geneval_by_tag", "verdict_geneval_by_tag_se")
    assert added.keys() - row.keys() == ({*names} if there else set())
    assert {key: added[key] for key in row} == row


def test_summary_of_says_each_tag_printably():
    text = summary_of(VERDICTS)
    assert text.splitlines()[0] == "geneval at cap 8: 0.56 ± 0.18 of 8 images are correct"
    assert "\\x1b[31m: 0.50 ± 0.50 of 2" in text
    assert "\x1b" not in text


@pytest.fixture
def folder(write_run, tmp_path) -> Path:
    """An experiment of two methods, of which a judge saw one at its largest cap."""
    folders = [write_run(search=search, images=8) for search in ("none", "random")]
    cap = load_runs(tmp_path / "demo")[1].rows[-1]["nfe_cap"]
    replace(VERDICTS, cap=cap).keep(RunFolder(folders[1]))
    return tmp_path / "demo"


def test_verdicts_change_no_other_number(folder):
    judged = load_runs(folder)
    for path in folder.rglob("verdicts/*.json"):
        path.unlink()
    plain = load_runs(folder)
    assert judged_columns(judged) == ["verdict_geneval", "verdict_geneval_by_tag"]
    assert judged_columns(plain) == []
    before, after = (pd.DataFrame([row for run in runs for row in run.rows]) for runs in (plain, judged))
    pd.testing.assert_frame_equal(after[before.columns], before)


def test_verdict_tables_have_a_column_for_each_tag(folder):
    runs = load_runs(folder)
    [(name, (header, rows))] = verdict_tables(runs, series_of(runs)).items()
    tags = ["<b>|</b> ↑", "$a_b$ ↑", "\\x1b[31m ↑"]
    assert (name, header) == ("geneval", ["method", "cap", "images", "correct ↑", "mean of tags ↑", *tags])
    assert rows == [
        ["random", "NFE 40", "8", "0.56 ± 0.18", "0.56 ± 0.22", "0.67 ± 0.33", "0.50 ± 0.29", "0.50 ± 0.50"]
    ]


def test_cost_panels_show_what_was_judged(folder):
    runs = load_runs(folder)
    panels = {panel.name: panel for panel in cost_panels(runs, series_of(runs))}
    panel = panels["verdict_geneval_by_tag_vs_nfe"]
    assert panel.y_label == "geneval, mean of tags ↑ (judged outside)"
    assert [[mark.y for mark in marks] for marks in panel.marks] == [[pytest.approx(0.5556, abs=1e-4)]]


def test_series_are_not_parted_by_a_verdict(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 8)
    folders = [write_run(images=8, rows=part, extra=f"budget.nfe={k}") for k, part in enumerate((rows[:3], rows))]
    replace(VERDICTS, cap=rows[2]["nfe_cap"]).keep(RunFolder(folders[0]))
    assert len(series_of(load_runs(tmp_path / "demo"))) == 1


@pytest.mark.long
def test_report_shows_verdicts_beside_all_else(folder):
    make_report(folder)
    report = folder / "report"
    page = (report / "index.html").read_text()
    assert "Judged outside: geneval" in page
    assert "&lt;b&gt;|&lt;/b&gt; ↑" in page
    assert "<b>|</b>" not in page
    assert "| random | NFE" in (report / "verdicts.md").read_text()
    assert r"\$a\_b\$" in (report / "verdicts.tex").read_text()
    assert "geneval, mean of tags ↑" in (report / "table.md").read_text()
    [path] = folder.rglob("verdicts/*.json")
    path.unlink()
    make_report(folder)
    assert "Judged outside" not in (report / "index.html").read_text(), "a report is made anew"
