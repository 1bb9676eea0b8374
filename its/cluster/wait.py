"""Waiting for jobs: one is over when its runs are finished on disk, or when squeue has not shown it twice."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from its.cluster.sweep import SweepRun
from its.process import slurm

log = logging.getLogger(__name__)

POLL_S = (2.0, 15.0)
"""Between two looks at the queue: at first or to make sure that a job is gone, and at most."""

TELL_S = 300.0
"""Between two lines that say what is waited for."""


def wait(runs: Sequence[SweepRun], pause: Callable[[float], None] = time.sleep) -> None:
    """Wait until no run is `submitted` any more. A queue that cannot be asked says nothing about any job."""
    absent: dict[str, int] = {}
    seconds, last_line = POLL_S[0], time.monotonic()
    while waiting := [run for run in runs if run.state == "submitted"]:
        # Ask for the queue.
        try:
            queue = slurm.queue()
        except slurm.Unreachable as error:
            log.warning("SLURM does not answer (%s); its jobs go on, and so does this", error)
            pause(POLL_S[1])
            continue

        # A job's run is over when its curve is there, or when its job is missing twice.
        absent = {job: 0 if job in queue else absent.get(job, 0) + 1 for job in {str(run.job) for run in waiting}}
        for run in waiting:
            if run.finished():
                run.state = "finished"
            elif absent[str(run.job)] >= 2:
                run.conclude(
                    f"job {run.job} is gone from the queue without finishing it ({slurm.ending(str(run.job))}); "
                    f"its log is {run.submission}/{run.job}_0_log.out; the same command goes on"
                )
            if run.state != "submitted":
                log.info("%s %s %s", run.state, run.job, run.name)

        # Tell now and then what is waited for, and pause for longer and longer.
        if time.monotonic() - last_line > TELL_S:
            last_line = time.monotonic()
            _tell(waiting, queue)
        if any(run.state == "submitted" for run in waiting):
            pause(POLL_S[0] if 1 in absent.values() else seconds)
        seconds = min(1.3 * seconds, POLL_S[1])


def _tell(waiting: Sequence[SweepRun], queue: dict[str, str]) -> None:
    states = [queue.get(str(run.job), "gone") for run in waiting]
    log.info("waiting for %s", ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states))))
