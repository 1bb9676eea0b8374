"""The report of an experiment folder: all its runs in one table and, per comparable group, one figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from its.report.figures import comparison_figure
from its.report.runs import COLUMNS, LABELS, RunRecord, grouped, load_failures, load_runs
from its.report.tables import table_markdown, table_text
from its.store import write_atomic

FIGURE = "fid_vs_nfe"


def make_report(folder: Path) -> None:
    """Write `<folder>/report/`, print its table and where the figures are; without a finished run, say so."""
    runs, failures = load_runs(folder), load_failures(folder)
    if not runs:
        print(f"no finished runs under {folder.absolute()}, so no report")
        if failures:
            print(table_text([], failures))
        return
    report = folder.absolute() / "report"
    write_atomic(report / "curves.csv", curves_csv(runs).encode())
    write_atomic(report / "table.md", table_markdown(runs, failures).encode())
    figures = _write_figures(report, runs)
    print(table_text(runs, failures))
    for path in figures:
        print(path)


def curves_csv(runs: Sequence[RunRecord]) -> str:
    """All rows of all runs behind the columns that name the run; floats keep every digit."""
    found = {column for run in runs for row in run.rows for column in row}
    columns = [column for column in COLUMNS if column in found]
    columns += sorted(found - set(columns))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*LABELS, "run", *columns], restval="", lineterminator="\n")
    writer.writeheader()
    for run in runs:
        named = {key: run.label[key] for key in LABELS} | {"run": run.folder.as_posix()}
        writer.writerows(named | row for row in run.rows)
    return text.getvalue()


def _write_figures(report: Path, runs: Sequence[RunRecord]) -> list[Path]:
    """One figure per group; those of groups that are no more are removed."""
    groups = grouped(runs)
    written, shown = set(), []
    for group, members in groups.items():
        name = FIGURE if len(groups) == 1 else f"{FIGURE}_{group.file_suffix}"
        for kind, content in comparison_figure(members).items():
            write_atomic(report / f"{name}.{kind}", content)
            written.add(report / f"{name}.{kind}")
        shown.append(report / f"{name}.png")
    for stale in {*report.glob(f"{FIGURE}*.png"), *report.glob(f"{FIGURE}*.pdf")} - written:
        stale.unlink()
    return shown
