"""A sweep as one tidy table: a row for each run and cap, a column for each label and each number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from its.report.runs import COLUMNS, LABELS, RunRecord, load_runs

if TYPE_CHECKING:
    from pandas import DataFrame


def load_sweep(path: str | Path) -> DataFrame:
    """Read all finished runs below `path` (an experiment's folder, `out_dir`, or one run's folder).

    Returns:
        one row per run and cap: the labels `name dataset model sampler search verifier budget metric` (text) and `seed`
        (int64); `run`, its folder relative to `path`; `settings`, the overrides that may change its method; then the
        columns of `curve.csv`, numbers to the last digit, NaN where a run has none (`nfe_cap` of an uncapped run).

    Raises:
        FileNotFoundError: no such folder. ValueError: nothing below it has finished, or a curve cannot be read.
    """
    folder = Path(path).expanduser().absolute()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; give <out_dir>/<experiment>")
    runs = load_runs(folder)
    if not runs:
        raise ValueError(f"no finished run below {folder}; python scripts/status.py tells how far runs are")
    return frame_of(runs)


def frame_of(runs: Sequence[RunRecord]) -> DataFrame:
    """Return the same of runs that are loaded."""
    from pandas import DataFrame

    records = [
        {key: run.label[key] for key in LABELS}
        | {"seed": int(run.seed), "run": run.place, "settings": " ".join(sorted(run.settings))}
        | row
        for run in runs
        for row in run.rows
    ]
    numbers = column_order(runs)
    frame = DataFrame.from_records(records, columns=[*LABELS, "run", "settings", *numbers])
    return frame.astype({column: "float64" for column in numbers} | {"images": "int64"})


def column_order(runs: Sequence[RunRecord]) -> list[str]:
    """Return every column that a run has, in the order in which they are written."""
    present = {column for run in runs for row in run.rows for column in row}
    return [column for column in COLUMNS if column in present] + sorted(present - set(COLUMNS))
