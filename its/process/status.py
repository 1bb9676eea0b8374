"""The status of a job, which its process leaves in one small file for the launcher that waits for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from its.disk.files import write_atomic
from its.disk.records import read_record
from its.disk.sealed import sealed

VARIABLE = "ITS_STATUS"
"""Names the file; set by our launchers, which also make the report when all jobs are over."""


def in_sweep() -> bool:
    """Return whether a launcher waits for this process and reports for it."""
    return VARIABLE in os.environ


def write_status(status: Mapping[str, Any]) -> None:
    """Write the status for the launcher, if there is one."""
    if in_sweep():
        write_atomic(Path(os.environ[VARIABLE]), sealed(status).encode())


def read_statuses(folder: Path, run: int) -> list[dict[str, Any]]:
    """Return the statuses of a run's processes, one for each task; a damaged one says nothing."""
    statuses = list[dict[str, Any]]()
    for path in sorted(folder.glob(f"{run}.*.json")):
        with suppress(FileNotFoundError, ValueError):
            statuses.append(read_record(path))
    return [status for status in statuses if "status" in status]


def status_file(folder: Path, run: int, rank: int) -> Path:
    """Return the path of the status of rank `rank` of run number `run` of a sweep."""
    return folder / f"{run}.{rank}.json"
