"""Hydra launchers that hand the runs of a sweep to SLURM or to processes of this machine, and wait for all of them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

if TYPE_CHECKING:
    from its.cluster.sweep import SweepRun
    from its.config.plan import Plan
    from its.process.board import Board

log = logging.getLogger(__name__)


class ItsLauncher(BaseSubmititLauncher):
    """A launcher that leaves finished runs alone and reports failed ones; no run stops another."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Make what is missing; return a status for every job."""
        from its.cluster import sweep
        from its.config.composed import own_words
        from its.config.smoke import out_dir
        from its.process.slurm import Unreachable

        assert self.config is not None
        if self.config.plan:
            return self._plan(job_overrides, initial_job_idx)
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)

        # See what is there, and say what is left.
        runs = [self._run(initial_job_idx + k, list(overrides)) for k, overrides in enumerate(job_overrides)]
        for run, name in zip(runs, own_words([run.overrides for run in runs]), strict=True):
            run.name = " ".join(name or run.overrides)
        experiment = out_dir(self.config) / self.config.name
        missing = [run for run in runs if run.state == "missing"]
        finished = sum(run.state == "finished" for run in runs)
        log.info(
            "%d runs: %d finished before, %d to make, %.0f NFE to spend",
            len(runs),
            finished,
            len(missing),
            sweep.nfe(missing),
        )

        # Make it, and say what became of each run.
        try:
            self._make(runs, experiment)
        except (ValueError, Unreachable) as error:
            raise SystemExit(f"error: {error}") from error
        log.info("%s", sweep.table(runs))
        return [self._returned(run) for run in runs]

    def _plan(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Plan the jobs in this process, submit none, and say what they would book."""
        assert self.hydra_context is not None
        assert self.task_function is not None
        assert self.config is not None
        here = BasicLauncher()
        here.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
        jobs = here.launch(job_overrides, initial_job_idx)
        statuses = [job.return_value for job in jobs]
        try:
            sentence = self._allocation([status["plan"] for status in statuses if status["status"] == "planned"])
        except ValueError as error:
            raise SystemExit(f"error: {error}") from error
        if sentence:
            log.info("%s", sentence)
        return jobs

    def _allocation(self, plans: Sequence[Plan]) -> str:
        """Return what the jobs would book of other machines; nothing where they book none."""
        return ""

    @abstractmethod
    def _make(self, runs: list[SweepRun], experiment: Path) -> None:
        """Make the runs, and note in each what became of it."""

    def _run(self, number: int, overrides: list[str]) -> SweepRun:
        from its.cluster.sweep import SweepRun

        assert self.config is not None
        assert self.hydra_context is not None
        searchpath = [entry for entry in self.config.hydra.overrides.hydra if entry.startswith("hydra.searchpath=")]
        config = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        return SweepRun.of(number, overrides, searchpath, config)

    def _returned(self, run: SweepRun) -> JobReturn:
        """The job as Hydra's own launcher would return it; its callbacks hear of it here."""
        assert self.hydra_context is not None
        status = {"status": run.state, "reason": run.reason, "traceback": run.traceback, "folder": run.folder}
        returned = JobReturn(overrides=run.overrides, status=JobStatus.COMPLETED, _return_value=status)
        if run.state != "submitted":
            self.hydra_context.callbacks.on_job_end(config=self.config, job_return=returned)
        return returned


class SlurmLauncher(ItsLauncher):
    """One array task for each run, or for `runs_per_job` of them; with several tasks, all of a job's tasks share it."""

    def _allocation(self, plans: Sequence[Plan]) -> str:
        from its.cluster.allocation import allocation

        return allocation(plans, dict(self.params))

    def _make(self, runs: list[SweepRun], experiment: Path) -> None:
        from its.cluster import sweep
        from its.cluster.submit import submit
        from its.cluster.wait import wait
        from its.process import slurm

        sweep.attach(runs, experiment, slurm.queue())
        missing = [run for run in runs if run.state == "missing"]
        if missing:
            submit(missing, experiment, dict(self.params))
        jobs = list(dict.fromkeys(run.job for run in runs if run.state == "submitted"))
        if jobs:
            log.info("jobs %s", " ".join(str(job) for job in jobs))
        if self.params["wait"]:
            wait(runs)


class LocalLauncher(ItsLauncher):
    """`jobs` runs at a time, each a process of its own."""

    def _make(self, runs: list[SweepRun], experiment: Path) -> None:
        from its.cluster import sweep
        from its.process import leave
        from its.process.board import Board

        assert self.config is not None
        leave.leave_on_signals()
        missing = [run for run in runs if run.state == "missing"]
        if not missing:
            return
        submission = sweep.new_submission(experiment)
        jobs = self.params["jobs"]
        if not isinstance(jobs, int) or jobs < 1:
            raise ValueError(f"hydra.launcher.jobs is {jobs!r}; it is a whole number of at least 1")
        threads = str(max(1, (os.cpu_count() or 1) // (jobs * self.config.workers)))
        environment = {"OMP_NUM_THREADS": threads, **os.environ}
        log.info("%d at a time, logs in %s", jobs, submission)
        with Board() as board, ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda run: self._process(run, submission, environment, board), missing))

    def _process(self, run: SweepRun, submission: Path, environment: dict[str, str], board: Board) -> None:
        from its.process import leave, status

        # The run's process, with its log and the file for its status.
        run.submission = str(submission)
        logs = submission / f"{run.number}.log"
        status_file = str(status.status_file(submission / "status", run.number, 0))
        command = [sys.executable, str(Path(sys.argv[0]).absolute()), *run.overrides, "hydra.mode=RUN"]
        with logs.open("wb") as output, board.watching(run.name, run.files.path):
            process = leave.start(
                command,
                env={**environment, status.VARIABLE: status_file},
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
            code = leave.ended(process)

        # Its folder and status say how it ended.
        run.conclude(f"the process ended with exit code {code}; its log is {logs}")
        log.info("%s %s", run.state, run.name)
