"""The report of an experiment folder: one page, and its tables and figures as files for other uses."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from its.disk.store import write_atomic
from its.report.frame import column_order, frame_of
from its.report.page import page
from its.report.runs import LABELS, RunRecord, load_failures, load_runs
from its.report.schedule import schedule_table
from its.report.section import Section, sections_of
from its.report.tables import table_latex, table_markdown, table_text

PAGE = "index.html"
FIGURE_KINDS = ("png", "pdf")


def make_report(folder: Path) -> None:
    """Write `<folder>/report/`, print its table and where figures and page are; without a finished run, say so."""
    runs, failures = load_runs(folder), load_failures(folder)
    schedules = schedule_table(folder)
    if schedules:
        print(schedules)
    if not runs and schedules and not failures:
        return
    if not runs:
        print(f"no finished runs under {folder.absolute()}, so no report")
        if failures:
            print(table_text([], failures))
        return
    report = folder.absolute() / "report"
    sections = sections_of(folder, runs)
    files = {
        "curves.csv": curves_csv(runs).encode(),
        "curves.parquet": _parquet(runs),
        "table.md": table_markdown(runs, failures).encode(),
        "table.tex": table_latex(runs).encode(),
        **_figures(sections),
    }
    for name, content in files.items():
        write_atomic(report / name, content)
    write_atomic(report / PAGE, page(runs[0].label["name"], sections, failures).encode())
    for stale in {path for kind in FIGURE_KINDS for path in report.glob(f"*.{kind}") if path.name not in files}:
        stale.unlink()
    print(table_text(runs, failures))
    for path in (
        *(report / name for name in files if name.startswith("fid_vs_nfe") and name.endswith(".png")),
        report / PAGE,
    ):
        print(path)


def curves_csv(runs: Sequence[RunRecord]) -> str:
    """All rows of all runs behind the columns that name the run; floats keep every digit."""
    columns = column_order(runs)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*LABELS, "run", *columns], restval="", lineterminator="\n")
    writer.writeheader()
    for run in runs:
        named = {key: run.label[key] for key in LABELS} | {"run": run.folder.as_posix()}
        writer.writerows(named | row for row in run.rows)
    return text.getvalue()


def _figures(sections: Sequence[Section]) -> dict[str, bytes]:
    """Every figure of every group; where there are several, its group is in a figure's name."""
    made = {}
    for section in sections:
        for name, content in section.files().items():
            stem, _, kind = name.rpartition(".")
            made[name if len(sections) == 1 else f"{stem}_{section.group.file_suffix}.{kind}"] = content
    return made


def _parquet(runs: Sequence[RunRecord]) -> bytes:
    return frame_of(runs).to_parquet(index=False)
