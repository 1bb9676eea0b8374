"""The runs of a report: those below a folder, and their renderings, which are lines beside them (scripts/render.py)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from its.disk.run_folder import RunFolder
from its.report.runs import FailedRun, RunRecord, overrides_of, read_failure, read_run


def read_runs(folders: Iterable[RunFolder], folder: Path) -> tuple[list[RunRecord], list[FailedRun]]:
    """Read runs below `folder` and their renderings: those with a curve, and those that failed or cannot be read."""
    runs, failures = list[RunRecord](), list[FailedRun]()
    for run in folders:
        if os.path.lexists(run.summary):
            try:
                record = read_run(run, folder)
            except ValueError as error:
                failures.append(read_failure(run, folder, str(error)))
                continue
            rendered, unread = _renderings(run, record, folder)
            runs += [record, *rendered]
            failures += unread
        elif run.state == "failed":
            failures.append(read_failure(run, folder))
    return runs, failures


def _renderings(run: RunFolder, record: RunRecord, folder: Path) -> tuple[list[RunRecord], list[FailedRun]]:
    """Read the finished renderings of a run; each has its names and its command, and so stands in its group."""
    renderings, failures = list[RunRecord](), list[FailedRun]()
    for rendering in map(RunFolder, sorted(run.renders.glob("*/"))):
        if os.path.lexists(rendering.summary):
            try:
                own = read_run(rendering, folder)
            except ValueError as error:
                failures.append(read_failure(rendering, folder, str(error)))
            else:
                rendered = replace(own, label=record.label, command=record.command, rendered=_final_sampler(own))
                renderings.append(rendered)
    return renderings, failures


def _final_sampler(rendering: RunRecord) -> str:
    """Return the sampler of a rendering, and the values that its command sets."""
    words = [word for word in overrides_of(rendering.command) if word.startswith("sampler.")]
    return " ".join([rendering.label["sampler"], *(word.removeprefix("sampler.") for word in words)])
