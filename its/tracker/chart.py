"""The comparison of a sweep in W&B: one custom chart, and the report's figures."""

from __future__ import annotations

import json
import os
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from its.budget import cap_of
from its.disk.run_folders import run_folders
from its.report.renderings import read_runs
from its.report.runs import grouped
from its.report.series import series_of

CHART = "its-nfe-curves"
"""Name of the chart's Vega-Lite spec, in W&B and here."""

COLUMNS = ("group", "method", "verifier", "search", "seed", "cap", "nfe", "fid", "isc")


def spec() -> dict[str, Any]:
    """Return the committed Vega-Lite spec, with W&B's `${field:…}` where a table's columns belong."""
    return json.loads((files("its.tracker") / "nfe_curves.vega.json").read_text(encoding="utf-8"))


def rows(folder: Path) -> list[list[Any]]:
    """Return a row of `COLUMNS` for every run and cap that can be read below an experiment's folder."""
    runs, _ = read_runs(run_folders(folder), folder)
    return [
        [
            group.title,
            line.method,
            line.verifier,
            line.search,
            run.seed,
            row["nfe_cap"] if "nfe_cap" in row else str(cap_of(row)),
            row["nfe"],
            row.get("fid"),
            row.get("isc"),
        ]
        for group, members in grouped(runs).items()
        for line in series_of(members)
        for run in line.runs
        for row in run.rows
    ]


def log_comparison(run: Any, folder: Path) -> None:
    """Log the chart and the figures to an open W&B run; the clock is the step, so that a later sweep comes after."""
    import wandb

    table = wandb.Table(columns=list(COLUMNS), data=rows(folder), allow_mixed_types=True)
    owner = os.environ.get("WANDB_ENTITY") or getattr(run, "entity", "")
    run.config.update({"chart": spec()}, allow_val_change=True)
    chart = wandb.plot_table(
        f"{owner}/{CHART}" if owner else CHART, table, {name: name for name in COLUMNS}, {"title": folder.name}
    )
    figures = {path.stem: wandb.Image(str(path)) for path in sorted((folder / "report").glob("*.png"))}
    run.log({"nfe_curves": chart, **figures}, step=int(time.time()))
