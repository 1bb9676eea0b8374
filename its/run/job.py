"""One job of a sweep, and the report when the last one is over."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from its.config.composed import of_job, words_of_job
from its.config.secrets import without_secrets
from its.config.shelf import Shelf
from its.config.smoke import out_dir
from its.process import leave
from its.process.alive import alive
from its.process.command import is_users
from its.process.scratch import need_temporary_folder
from its.process.source_tree import require_source_tree
from its.process.status import in_sweep, write_status
from its.process.workers import Worker, take_own_gpu
from its.run.failures import Failures

if TYPE_CHECKING:
    from its.config.blueprint import Blueprint
    from its.config.plan import Plan
    from its.run.build import Run

log = logging.getLogger(__name__)

NETWORKS = Shelf()
"""Those that runs of this process share, one after the other."""


def run_job(config: DictConfig) -> dict[str, Any]:
    """Make a run, or plan it; return a status: `finished`, `planned` or `failed`, and what there is to say of it."""
    leave.leave_on_signals()
    take_own_gpu()
    if Worker.is_shown_by_another():
        logging.getLogger().setLevel(logging.WARNING)
    status = _run(config)
    if status["status"] == "failed":
        NETWORKS.clear()  # for who knows what it has done to them
    if status["status"] == "failed" and HydraConfig.get().mode == RunMode.MULTIRUN:
        log.error("failed; the sweep goes on, and says why at its end")
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

            plan = plan_of(blueprint)
            log.info("%s", plan.line())
            return {"status": "planned", "plan": plan}

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
                with _begun(blueprint, config.workers) as run:
                    folder = run.folder
                    run.run(retry=not _has_workers(config.workers))
                    if config.verify:
                        RunFolder(folder).store.put_away()
    except Exception as error:
        return _failed(error, folder)
    return {"status": "finished", "folder": str(blueprint.folder)}


def _failed(error: Exception, folder: Path | None) -> dict[str, Any]:
    """Return the status of a run that failed, and record that in its folder if it has folder that.

    Its traceback is for errors of code alone.
    """
    reason, trace = map(without_secrets, (f"{type(error).__name__}: {error}", traceback.format_exc()))
    if folder is not None:
        _record(folder, reason, trace)
    code = "" if is_users(error) else trace
    return {"status": "failed", "reason": reason, "traceback": code, "folder": folder and str(folder)}


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


@contextmanager
def _begun(blueprint: Blueprint, workers: int) -> Iterator[Run]:
    """Load the run and claim its folder, in which this process is alive while the block lasts.

    With several workers they make their shares first.
    """
    from its.config.plan import check_room
    from its.run.build import build

    blueprint.check_sources()
    check_room(blueprint)
    with alive(blueprint.folder):
        failure = ""
        if _has_workers(workers):
            NETWORKS.clear()  # each worker loads its own
            failure = run_workers(workers, blueprint.folder)
        run = build(blueprint, NETWORKS)
        log.info("%s", run.folder)
        run.claim()
        yield run
        if failure:
            log.warning("made here what workers left, of whom one had failed: %s", failure)


def _has_workers(workers: int) -> bool:
    """Return whether this process starts workers of its run; these start none themselves."""
    return workers > 1 and Worker.here().world == 1


def run_workers(workers: int, folder: Path) -> str:
    """Run this job, untracked, as `workers` processes on this machine; each makes what others have left.

    Args:
        folder: of the run, in which they show how far they are.

    Returns:
        why one of them failed, if one has.
    """
    from its.disk.files import is_plain
    from its.disk.run_folder import RunFolder
    from its.process.board import Board

    # Share the cores, unless the user has.
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    environment = {"OMP_NUM_THREADS": threads, **os.environ, "ITS_WORLD": str(workers)}
    untracked = [word for word in words_of_job(HydraConfig.get()) if not word.startswith("tracker")]
    command = [sys.executable, str(Path(sys.argv[0]).absolute()), *untracked, "hydra.mode=RUN"]

    # Wait for all of them; what they fail at is tried again here, and told here.
    began = time.time()
    with Board() as board, board.watching("", folder):
        processes = [leave.start(command, env={**environment, "ITS_RANK": str(rank)}) for rank in range(workers)]
        codes = [leave.ended(process) for process in processes]
    if not any(codes):
        return ""
    log.warning("workers ended with exit codes %s; what they left is made now", codes)
    run = RunFolder(folder)
    return run.read_failure() if is_plain(run.failure) and run.failure.stat().st_mtime >= began else ""


def _record(folder: Path, reason: str, trace: str) -> None:
    from its.disk.run_folder import RunFolder

    try:
        RunFolder(folder).write_failure(reason, trace)
    except OSError as error:
        log.error("this failure is not on record: %s", error)


class Closing(Callback):
    """Hydra callback: the report after the last job, a plan's total, what failed, and the exit code."""

    def __init__(self) -> None:
        self._failures = Failures()
        self._plans: list[Plan] = []
        self._folder: Path | None = None

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note where the job's run is, what it would cost, or why it failed."""
        status = job_return.return_value if job_return.status.name == "COMPLETED" else None
        if not isinstance(status, dict):
            status = {"status": "failed", "reason": "the job ended without a status"}
        self._failures.hear(job_return.overrides or (), status)
        if status["status"] == "planned":
            self._plans.append(status["plan"])
        elif status["status"] == "finished":
            self._folder = Path(status["folder"])

    def on_run_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a single run, print its table, or say what it would cost."""
        self._tell_total(config)
        self._close(config, sweep=False)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After a sweep, compare all runs of the experiment, or say what all of it would cost."""
        self._tell_total(config)
        self._close(config, sweep=True)

    def _tell_total(self, config: DictConfig) -> None:
        if config.plan and self._plans:
            from its.config.plan import total

            log.info("%s", total(self._plans))

    def _close(self, config: DictConfig, *, sweep: bool) -> None:
        """Report and track; whatever comes of that, the last word is what failed, with exit code 1."""
        try:
            self._follow_up(config, sweep=sweep)
        finally:
            if self._failures:
                if not Worker.is_shown_by_another():
                    self._failures.tell()
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
            make_report(folder, told=self._failures.folders)
        except Exception as error:
            self._failures.hear(["the report"], _failed(error, None))

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
