"""A run's own table for the terminal, read from its folder without loading what draws figures."""

from __future__ import annotations

from its.disk.run_folder import RunFolder
from its.report.runs import read_failure, read_run
from its.report.tables import table_text


def run_table(run: RunFolder) -> str:
    """Return the curve of a finished run, or the outcome of a schedule search, as lines of text.

    Of a run that failed it says why; of one that is neither finished nor failed it is empty.

    Raises:
        ValueError: the summary of the run lacks what it must have.
    """
    if run.summary.exists():
        return table_text([read_run(run, run.path)])
    if run.schedule.exists():
        from its.report.schedule import schedule_line

        return schedule_line(run, run.path.parent)
    return table_text([], [read_failure(run, run.path.parent)]) if run.failure.exists() else ""
