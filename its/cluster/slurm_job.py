"""The work of one SLURM job: the commands of its runs, one after the other, as a user would type them."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from its.process import status
from its.process.leave import leave_on_signals
from its.process.slurm import own_id
from its.process.source_tree import VARIABLE


@dataclass(frozen=True)
class SlurmJob:
    """A job that submitit calls on a compute node; it is pickled, so it holds strings and numbers only.

    Attributes:
        root: folder of run.py.
        runs: numbers in the sweep, with the overrides that make each.
        statuses: folder in which every process of the job writes what became of each run.
        source_tree: commit and hash that the job was submitted with.
    """

    root: str
    runs: tuple[tuple[int, tuple[str, ...]], ...]
    statuses: str
    source_tree: str

    def __call__(self) -> None:
        leave_on_signals()
        os.environ[VARIABLE] = self.source_tree
        rank = int(os.environ.get("SLURM_PROCID", 0))
        print(f"job {own_id()}, rank {rank}, source {self.source_tree}", flush=True)
        for number, overrides in self.runs:
            os.environ[status.VARIABLE] = str(status.status_file(Path(self.statuses), number, rank))
            try:
                self._run(overrides)
            except Exception as error:
                traceback.print_exc()
                status.write_status({"status": "failed", "reason": f"{type(error).__name__}: {error}", "folder": None})

    def checkpoint(self) -> Any:
        """Return this very job to submitit, which asks if a signal comes before `leave_on_signals`."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _run(self, overrides: tuple[str, ...]) -> None:
        sys.argv = [str(Path(self.root) / "run.py"), *overrides, "hydra.mode=RUN"]
        try:
            runpy.run_path(sys.argv[0], run_name="__main__")
        except SystemExit as leaving:
            if isinstance(leaving.code, str):
                status.write_status({"status": "failed", "reason": leaving.code, "folder": None})
