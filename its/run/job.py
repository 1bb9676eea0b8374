"""One job of a sweep, and the report when the last one is over."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from its.config.composed import of_job, words_of_job
from its.config.secrets import without_secrets
from its.config.smoke import out_dir
from its.process import leave
from its.process.command import is_users
from its.process.scratch import need_temporary_folder
from its.process.source_tree import require_source_tree
from its.process.status import in_sweep, write_status
from its.process.workers import Worker, take_own_gpu

if TYPE_CHECKING:
    from its.config.blueprint import Blueprint
    from its.run.build import Run

log = logging.getLogger(__name__)


def run_job(config: DictConfig) -> dict[str, Any]:
    """Make a run, or plan it; return a status: `finished`, `planned` or `failed`, and the reason."""
    leave.leave_on_signals()
    take_own_gpu()
    status = _run(config)
    write_status(status)
    return status


def _run(config: DictConfig) -> dict[str, Any]:
    from its.config.blueprint import Blueprint
    from its.disk.run_folder import RunFolder
    from its.run.build import tracker_of
    from its.tracker.none import NoTracker
    from its.tracker.tracker import tracked

    folder: Path | None = None
    try:
        # Check the configuration, or plan it.
        with leave.exits_as_errors():
            blueprint = Blueprint.of(*of_job(config, HydraConfig.get()), planning=config.plan)
        if config.plan:
            from its.config.plan import plan_of

            log.info("%s", plan_of(blueprint).line())
            return {"status": "planned"}

        # Make what is missing.
        require_source_tree(allow_edited=config.allow_edited)
        need_temporary_folder(out_dir(config))
        blueprint.check_folder()
        tracker = tracker_of(config) if Worker.here().rank == 0 else NoTracker()
        with tracked(tracker, blueprint.job()), leave.exits_as_errors():
            sentence = _finished(blueprint)
            if sentence:
                log.info("%s\n%s", blueprint.folder, sentence)
            else:
                blueprint.check_sources()
                run = _built(blueprint, config.workers)
                log.info("%s", run.folder)
                run.claim()
                folder = run.folder
                run.run(retry=not _has_workers(config.workers))
                if config.verify:
                    RunFolder(folder).store.put_away()
    except Exception as error:
        reason, trace = map(without_secrets, (f"{type(error).__name__}: {error}", traceback.format_exc()))
        log.error("%s", without_secrets(str(error)) if is_users(error) else trace)
        if folder is not None:
            _record(folder, reason, trace)
        return {"status": "failed", "reason": reason, "folder": folder and str(folder)}
    return {"status": "finished", "folder": str(blueprint.folder)}


def _finished(blueprint: Blueprint) -> str:
    """Return a sentence if nothing is left to do and every file is there; torch is not loaded to find out."""
    from its.disk.run_folder import RunFolder
    from its.disk.verify import verify, verify_others

    # Read every byte if that is asked for.
    run = RunFolder(blueprint.folder)
    looks = blueprint.plain["verify"]
    damaged = verify(run) if looks else []
    for damage in (*damaged, *(verify_others(run) if looks else ())):
        log.warning("%s", damage)

    # Ask the records and the manifest.
    sentence = blueprint.finished
    if not sentence or damaged:
        return ""
    blueprint.provenance.repair()
    return sentence


def _built(blueprint: Blueprint, workers: int) -> Run:
    """Load the run; with several workers, after they are done with it."""
    from its.config.plan import check_room
    from its.run.build import build

    check_room(blueprint)
    if _has_workers(workers):
        run_workers(workers, words_of_job(HydraConfig.get()))
    return build(blueprint)


def _has_workers(workers: int) -> bool:
    """Return whether this process starts workers of its run; these start none themselves."""
    return workers > 1 and Worker.here().world == 1


def run_workers(workers: int, overrides: Sequence[str]) -> None:
    """Run this job, untracked, as `workers` processes on this machine; each makes what others have left."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    untracked = [override for override in overrides if not override.startswith("tracker")]
    command = [sys.executable, str(Path(sys.argv[0]).absolute()), *untracked, "hydra.mode=RUN"]
    processes = [
        leave.start(
            command,
            env={**os.environ, "ITS_RANK": str(rank), "ITS_WORLD": str(workers), "OMP_NUM_THREADS": str(threads)},
        )
        for rank in range(workers)
    ]
    codes = [leave.ended(process) for process in processes]
    if any(codes):
        log.warning("workers ended with exit codes %s; what they left is made now", codes)


def _record(folder: Path, reason: str, trace: str) -> None:
    from its.disk.run_folder import RunFolder

    try:
        RunFolder(folder).write_failure(reason, trace)
    except OSError as error:
        log.error("this failure is not on record: %s", error)


class Closing(Callback):
    """Hydra callback: the report after the last job, and the exit code."""

    def __init__(self) -> None:
        self._failed: list[str] = []
        self._folder: Path | None = None

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note where the job's run is, or why it failed."""
        status = job_return.return_value if job_return.status.name == "COMPLETED" else None
        if not isinstance(status, dict) or status["status"] == "failed":
            self._failed.append(status["reason"] if isinstance(status, dict) else "the job ended without a status")
        elif status.get("folder"):
            self._folder = Path(status["folder"])

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a single run, print its table; its failure has just been told."""
        self._close(config, sweep=False)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a sweep, compare all runs of the experiment."""
        self._close(config, sweep=True)

    def _close(self, config: DictConfig, *, sweep: bool) -> None:
        """Report and track; whatever comes of that, a failure makes the exit code 1."""
        try:
            self._follow_up(config, sweep=sweep)
        finally:
            for reason in self._failed if sweep else ():
                log.error("failed: %s", reason)
            if self._failed:
                raise SystemExit(1)

    def _follow_up(self, config: DictConfig, *, sweep: bool) -> None:
        folder = out_dir(config) / str(config.name)
        if folder.is_dir() and not config.plan and not in_sweep() and Worker.reports():
            if config.reporting == "each" or (sweep and config.reporting == "end"):
                self._report(folder)
            elif self._folder is not None and not sweep:
                _print_table(self._folder)
            self._track(config, folder, sweep=sweep)

    def _report(self, folder: Path) -> None:
        """Write the report; one that cannot be written counts as a failed job, where Hydra would only warn."""
        from its.report.report import make_report

        try:
            make_report(folder)
        except Exception as error:
            log.error("no report: %s", error if isinstance(error, OSError) else traceback.format_exc())
            self._failed.append(f"no report: {type(error).__name__}: {error}")

    def _track(self, config: DictConfig, folder: Path, *, sweep: bool) -> None:
        """Give the tracker the comparison, and wait for it a while."""
        from its.run.build import tracker_of

        try:
            tracker = tracker_of(config)
        except ValueError:  # every job has failed for it
            return
        if sweep:
            tracker.sweep(folder)
        tracker.close()


def _print_table(folder: Path) -> None:
    """Print a run's own rows, without loading what draws figures."""
    from its.disk.run_folder import RunFolder
    from its.report.terminal import run_table

    if table := run_table(RunFolder(folder)):
        print(table)
