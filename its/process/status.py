"""The status of a job, which its process leaves in one small file for the launcher that waits for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from its.disk.store import write_atomic

VARIABLE = "ITS_STATUS"
"""Names the file; set by our launchers, which also make the report when all jobs are over."""


def in_sweep() -> bool:
    """Return whether a launcher waits for this process and reports for it."""
    return VARIABLE in os.environ


def write_status(status: Mapping[str, Any]) -> None:
    """Write the status for the launcher, if there is one."""
    if in_sweep():
        write_atomic(Path(os.environ[VARIABLE]), (json.dumps(status) + "\n").encode())


def read_statuses(folder: Path, run: int) -> list[dict[str, Any]]:
    """Return the statuses of a run's processes; one for each task."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{run}.*.json"))]


def status_file(folder: Path, run: int, rank: int) -> Path:
    """Return the path of the status of rank `rank` of run number `run` of a sweep."""
    return folder / f"{run}.{rank}.json"
