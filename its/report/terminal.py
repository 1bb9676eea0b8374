"""A run's own table for the terminal, read from its folder without loading what draws figures."""

from __future__ import annotations

import os

from its.disk.run_folder import RunFolder
from its.report.renderings import read_runs
from its.report.tables import table_text


def run_table(run: RunFolder) -> str:
    """Return the curve of a finished run, or the outcome of a schedule search, as lines of text.

    Of a run that failed, or cannot be read, it says why; of one that is neither finished nor failed it is empty.
    """
    runs, failures = read_runs([run], run.path.parent)
    if os.path.lexists(run.schedule):
        from its.report.schedule import schedule_lines

        lines, unread = schedule_lines([run], run.path.parent)
        return "\n".join([*lines, *([table_text([], unread)] if unread else [])])
    return table_text(runs, failures) if runs or failures else ""
