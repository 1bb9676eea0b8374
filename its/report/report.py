"""The report of an experiment folder: one page, and its tables and figures as files for other uses.

What is there already and was made from the same inputs is not made again: `inputs.json` beside the files says from
which, and what each file was then.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from its.disk.leftovers import drop_leftovers
from its.disk.records import read_record, sha256_of, write_record
from its.disk.run_folder import RunFolder
from its.disk.run_folders import run_folders
from its.disk.store import write_atomic
from its.process.scratch import need_temporary_folder
from its.report.categories import prompts_csv
from its.report.digest import digest
from its.report.escape import csv_text
from its.report.frame import column_order, frame_of
from its.report.page import page
from its.report.remarks import of_two_sources
from its.report.renderings import read_runs
from its.report.runs import LABELS, FailedRun, RunRecord, UnreadableRun, read_failure
from its.report.schedule import schedule_lines
from its.report.section import Section, sections_of
from its.report.tables import table_latex, table_markdown, table_text, titled_latex, titled_markdown

PAGE, INPUTS = "index.html", "inputs.json"
FIGURE_KINDS = ("png", "pdf")
FIRST_SHEET = "/0001.png"


def make_report(folder: Path, told: Collection[Path] = ()) -> None:
    """Write `<folder>/report/`, print its table and where figures and page are; without a finished run, say so.

    Args:
        told: folders of failed runs that the caller tells of; they are not printed here.
    """
    # Read the experiment.
    folders = list(run_folders(folder))
    runs, failures = read_runs(folders, folder)
    schedules, unread = schedule_lines(folders, folder)
    failures += unread
    if schedules:
        print("\n".join(schedules))
    if not runs and schedules and not failures:
        return

    # Write what has changed; a run that cannot be drawn is named instead.
    need_temporary_folder(folder.absolute())
    report = ReportFolder(folder.absolute() / "report")
    drop_leftovers(report.path)
    figures: list[str] | None = None
    while runs and figures is None:
        try:
            figures = _write(report, folder, runs, failures)
        except UnreadableRun as error:
            runs = [run for run in runs if run.folder != error.folder]
            failures.append(read_failure(RunFolder(folder / error.folder), folder, str(error)))

    _tell(report, folder, runs, [failure for failure in failures if folder / failure.folder not in told], figures)


def _tell(
    report: ReportFolder,
    folder: Path,
    runs: list[RunRecord],
    failures: list[FailedRun],
    figures: list[str] | None,
) -> None:
    """Print the table and where figures and page are.

    Args:
        figures: their names; None if there is no report.
    """
    if figures is None:
        print(f"no finished runs under {folder.absolute()}, so no report")
    if runs or failures:
        print(table_text(runs, failures))
    if remark := of_two_sources(runs):
        print(remark)
    for name in figures or ():
        if name.endswith(FIRST_SHEET) or (name.startswith(("fid_vs_nfe", "rewards_vs_nfe")) and name.endswith(".png")):
            print(report.path / name)
    if figures is not None:
        print(report.path / PAGE)


class ReportFolder:
    """The files of a report, and from which inputs each was made.

    Args:
        path: of the folder, which need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, dict[str, str]] = {}
        with suppress(FileNotFoundError, TypeError, ValueError):
            self._entries = {name: dict(entry) for name, entry in read_record(path / INPUTS).items()}

    def names(self, inputs: str) -> list[str]:
        """Return the names of the files that were made from these inputs."""
        return [name for name, entry in self._entries.items() if entry.get("inputs") == inputs]

    def current(self, name: str, inputs: str) -> bool:
        """Return whether a file is there as it was made, from these inputs."""
        return self._entries.get(name) == {"inputs": inputs, "sha256": sha256_of(self.path / name)}

    def read(self, name: str) -> str:
        """Return the text of a file that is there as it was made, else an empty one."""
        entry = self._entries.get(name)
        if entry is None or not self.current(name, entry.get("inputs", "")):
            return ""
        return (self.path / name).read_text(encoding="utf-8")

    def write(self, name: str, inputs: str, content: bytes) -> None:
        """Write a file, and remember from which inputs it was made."""
        write_atomic(self.path / name, content)
        self._entries[name] = {"inputs": inputs, "sha256": sha256(content).hexdigest()}

    def drop_others(self, figures: Sequence[str]) -> None:
        """Remove figures that no group has any more."""
        paths = [path for kind in FIGURE_KINDS for path in self.path.glob(f"*.{kind}")]
        for path in (*paths, *self.path.glob("prompts*/*.png")):
            name = path.relative_to(self.path).as_posix()
            if name not in figures:
                path.unlink()
                self._entries.pop(name, None)

    def save(self) -> None:
        """Write what is remembered; a group's figures are entered all at once, or drawn again."""
        write_record(self.path / INPUTS, self._entries)


def _write(report: ReportFolder, folder: Path, runs: Sequence[RunRecord], failures: Sequence[FailedRun]) -> list[str]:
    """Write figures and tables that are not there as their inputs have them; return the names of all figures.

    Raises:
        UnreadableRun: a file of a run, which a figure is drawn from, is damaged.
    """
    sections = sections_of(folder, runs)
    figures = [name for section in sections for name in _draw(report, section)]
    _write_tables(report, sections, runs, failures)
    report.drop_others(figures)
    report.save()
    return figures


def _draw(report: ReportFolder, section: Section) -> list[str]:
    """Draw the figures of a section that are not there as its inputs have them; return the names of all its files."""
    names = report.names(section.inputs)
    if names and all(report.current(name, section.inputs) for name in names):
        return names
    from its.report.figures import as_files

    names = []
    for stem, draw in section.figures.items():
        kinds = [f"{stem}.{kind}" for kind in FIGURE_KINDS]
        if not all(report.current(name, section.inputs) for name in kinds):
            for kind, content in as_files(draw()).items():
                report.write(f"{stem}.{kind}", section.inputs, content)
        names += kinds
    for name, content in zip(section.sheet_names, section.sheets(), strict=True):
        report.write(name, section.inputs, content)
        names.append(name)
    report.save()
    return names


def _write_tables(
    report: ReportFolder, sections: Sequence[Section], runs: Sequence[RunRecord], failures: Sequence[FailedRun]
) -> None:
    """Write the tables and the page, unless they are there; sections of the page that have not changed are kept."""
    failed = [text for failure in failures for text in (failure.place, failure.reason)]
    inputs = digest("tables", *(section.inputs for section in sections), *failed)
    files: dict[str, Callable[[], bytes]] = {
        "curves.csv": lambda: curves_csv(runs).encode(),
        "curves.parquet": lambda: frame_of(runs).to_parquet(index=False),
        "table.md": lambda: table_markdown(runs, failures).encode(),
        "table.tex": lambda: table_latex(runs).encode(),
        PAGE: lambda: page(runs[0].label["name"], sections, failures, report.read(PAGE)).encode(),
    }
    if groups := [section.prompt_runs for section in sections if section.prompt_runs is not None]:
        files["prompts.csv"] = lambda: prompts_csv(groups).encode()
    if tables := [(section.group.title, table) for section in sections if (table := section.categories) is not None]:
        files["categories.md"] = lambda: "\n".join(map(titled_markdown, *zip(*tables, strict=True))).encode()
        files["categories.tex"] = lambda: "\n".join(map(titled_latex, *zip(*tables, strict=True))).encode()
    if judges := [
        (f"{section.group.title} · judged by {name}", table)
        for section in sections
        for name, table in section.verdicts.items()
    ]:
        files["verdicts.md"] = lambda: "\n".join(map(titled_markdown, *zip(*judges, strict=True))).encode()
        files["verdicts.tex"] = lambda: "\n".join(map(titled_latex, *zip(*judges, strict=True))).encode()
    for name, make in files.items():
        if not report.current(name, inputs):
            report.write(name, inputs, make())


def curves_csv(runs: Sequence[RunRecord]) -> str:
    """Return all rows of all runs behind the columns that name the run; floats keep every digit."""
    columns = column_order(runs)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=[*LABELS, "run", *columns], restval="", lineterminator="\n")
    writer.writerow({name: csv_text(name) for name in writer.fieldnames})
    for run in runs:
        names = {key: csv_text(run.label[key]) for key in LABELS} | {"run": csv_text(run.place)}
        writer.writerows(names | row for row in run.rows)
    return text.getvalue()
