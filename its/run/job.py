"""One job of a sweep, and what is done when the last one is over."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from its.config.smoke import out_dir
from its.process import leave
from its.process.source_tree import require_source_tree
from its.process.status import in_sweep, write_status
from its.process.workers import Worker, take_own_gpu
from its.tracker.none import NoTracker
from its.tracker.tracker import tracked

if TYPE_CHECKING:
    from its.run.experiment import Experiment
    from its.run.schedule_search import ScheduleRun

log = logging.getLogger(__name__)


def run_job(config: DictConfig) -> dict[str, Any]:
    """Build and run, or plan; return a status: `finished`, `planned` or `failed`, and the reason."""
    leave.leave_on_signals()
    take_own_gpu()
    status = _run(config)
    write_status(status)
    return status


def _run(config: DictConfig) -> dict[str, Any]:
    hydra_config = HydraConfig.get()
    overrides = [entry for entry in hydra_config.overrides.task if not entry.startswith("out_dir=")]
    choices = dict(hydra_config.runtime.choices)
    folder: Path | None = None
    try:
        if config.plan:
            from its.config.plan import plan_job

            log.info("%s", plan_job(config, choices, overrides).line())
            return {"status": "planned"}
        require_source_tree(allow_edited=config.allow_edited)
        from its.config.plan import check_room
        from its.run.build import Blueprint, build, tracker_of
        from its.search.schedule import Schedule

        blueprint = Blueprint.of(config, choices, overrides)
        check_room(blueprint)
        with tracked(tracker_of(config) if Worker.here().rank == 0 else NoTracker(), blueprint.job()):
            if config.workers > 1 and Worker.here().world == 1:
                run_workers(config.workers, command_line(hydra_config))
            experiment: Experiment | ScheduleRun
            if isinstance(blueprint.search, Schedule):
                from its.run.schedule_search import ScheduleRun

                experiment = ScheduleRun.of(blueprint, overrides)
            else:
                experiment = build(config, choices, overrides)
            log.info("%s", experiment.folder)
            experiment.claim()
            folder = experiment.folder
            experiment.run()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        log.error("%s", error if isinstance(error, ValueError | OSError) else traceback.format_exc())
        if folder is not None:
            _record(folder, reason)
        return {"status": "failed", "reason": reason, "folder": folder and str(folder)}
    return {"status": "finished", "folder": str(folder)}


def command_line(hydra_config: HydraConf | DictConfig) -> list[str]:
    """Overrides that run this one job: its own, and where Hydra finds choices."""
    return [
        *hydra_config.overrides.task,
        *(entry for entry in hydra_config.overrides.hydra if entry.startswith("hydra.searchpath=")),
    ]


def run_workers(workers: int, overrides: Sequence[str]) -> None:
    """Run this job, untracked, as `workers` processes on this machine; what one leaves, another makes."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    own = [override for override in overrides if not override.startswith("tracker")]
    command = [sys.executable, str(Path(sys.argv[0]).absolute()), *own, "hydra.mode=RUN"]
    processes = [
        subprocess.Popen(
            command,
            env={**os.environ, "ITS_RANK": str(rank), "ITS_WORLD": str(workers), "OMP_NUM_THREADS": str(threads)},
        )
        for rank in range(workers)
    ]
    leave.children += processes
    codes = [process.wait() for process in processes]
    if any(codes):
        log.warning("workers ended with exit codes %s; what they left is made now", codes)


def _record(folder: Path, reason: str) -> None:
    from its.disk.run_folder import RunFolder

    try:
        RunFolder(folder).write_failure(reason, traceback.format_exc())
    except OSError as error:
        log.error("this failure is not on record: %s", error)


class Closing(Callback):
    """Hydra callback: the report after the last job, and the exit code."""

    def __init__(self) -> None:
        self._failed: list[str] = []

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Keep count of failures."""
        status = job_return.return_value if job_return.status.name == "COMPLETED" else None
        if not isinstance(status, dict) or status["status"] == "failed":
            self._failed.append(status["reason"] if isinstance(status, dict) else "the job ended without a status")

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a single run: its table; its failure has just been told."""
        self._close(config, tell=False)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a sweep: the comparison of all runs of the experiment."""
        self._close(config, tell=True)

    def _report(self, folder: Path) -> None:
        """Write the report; one that cannot be written counts as a failed job, where Hydra would only warn."""
        from its.report.report import make_report

        try:
            make_report(folder)
        except Exception as error:
            log.error("no report: %s", error if isinstance(error, OSError) else traceback.format_exc())
            self._failed.append(f"no report: {type(error).__name__}: {error}")

    def _tell(self, config: DictConfig, folder: Path, *, sweep: bool) -> None:
        """Give the tracker the comparison, and wait for it a while."""
        from its.run.build import tracker_of

        try:
            tracker = tracker_of(config)
        except ValueError:  # every job has failed for it
            return
        if sweep:
            tracker.sweep(folder)
        tracker.close()

    def _close(self, config: DictConfig, *, tell: bool) -> None:
        folder = out_dir(config) / config.name
        if folder.is_dir() and not config.plan and not in_sweep() and Worker.reports():
            self._report(folder)
            self._tell(config, folder, sweep=tell)
        for reason in self._failed if tell else ():
            log.error("failed: %s", reason)
        if self._failed:
            raise SystemExit(1)
