"""Submission of runs to SLURM through submitit: arrays of jobs, each with the commands of its runs."""

from __future__ import annotations

import itertools
import logging
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from its.cluster.site import SBATCH, load_site, refuse_shell, times
from its.cluster.slurm_job import SlurmJob
from its.cluster.sweep import SweepRun, new_submission, write_jobs
from its.process.slurm import max_array_size
from its.process.source_tree import ROOT, source_tree

log = logging.getLogger(__name__)
T = TypeVar("T")

OFFLINE = ("HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "HF_DATASETS_OFFLINE=1", "WANDB_MODE=offline")
"""Set in every job: compute nodes rarely reach the network, and a job must not wait for it."""

LAYOUT = ("wait", "runs_per_job", "nodes", "tasks_per_node", "signal_delay_s")
"""Entries of the launcher that are not sbatch's own, or not of one task."""

TRIES = 4
"""Of sbatch, which a busy controller refuses now and then."""


def submit(runs: Sequence[SweepRun], experiment: Path, parameters: dict[str, Any]) -> None:
    """Submit runs and write down their jobs; a run whose submission is refused has failed, the others go on."""
    # Read the settings.
    site = load_site()
    options = sbatch_options(parameters, site)
    submission = new_submission(experiment)
    here = source_tree()
    jobs = list(chunks(list(runs), parameters["runs_per_job"]))
    log.info("%d jobs, source %s, logs in %s", len(jobs), here, submission)

    # Submit arrays of at most the cluster's size, and write down after each which job makes which run.
    for array in chunks(jobs, max_array_size()):
        calls = [
            SlurmJob(str(ROOT), tuple((run.number, run.overrides) for run in job), str(submission / "status"), here)
            for job in array
        ]
        try:
            ids = _sbatch(calls, submission, options, site)
        except Exception as error:
            reason = f"sbatch refused the job: {' '.join(str(error).split())}"
            for run in itertools.chain(*array):
                run.fail(reason)
            continue
        for job, number in zip(array, ids, strict=True):
            for run in job:
                run.job, run.submission, run.state = number, str(submission), "submitted"
        write_jobs(submission, runs)


def sbatch_options(parameters: dict[str, Any], site: dict[str, Any]) -> dict[str, Any]:
    """Return options for submitit: those of the configuration, else of the site file; both are of one task.

    Raises:
        ValueError: a value is badly formed, or an entry is of the site file only.
    """
    unknown = sorted(set(parameters) - {*SBATCH, *LAYOUT})
    if unknown:
        raise ValueError(
            f"hydra.launcher has {', '.join(unknown)}; it may have {', '.join((*LAYOUT, *SBATCH))}, and "
            "slurm/site.yaml others"
        )
    replaced = {key: parameters[key] for key in SBATCH if parameters.get(key) is not None}
    refuse_shell(replaced, "hydra.launcher")
    chosen = {**{key: site[key] for key in SBATCH if key in site}, **replaced}

    # Refuse what is not a count.
    tasks = parameters["tasks_per_node"]
    for key in (*LAYOUT[1:], "timeout_min"):
        value = chosen.get(key, parameters.get(key, 1))
        if value is not None and (not isinstance(value, int) or value < 1):
            raise ValueError(f"hydra.launcher.{key} is {value!r}; it is a whole number of at least 1")

    # Ask for as many times as much as there are tasks.
    if "gres" in chosen:
        chosen["gres"] = times(chosen["gres"], tasks)
    if "mem_gb" in chosen:
        chosen["mem_gb"] *= tasks

    # Name everything as submitit does.
    extra = {"requeue": True, **site.get("additional_parameters", {})}
    common: dict[str, Any] = {
        key: chosen.pop(key) for key in ("mem_gb", "timeout_min", "cpus_per_task") if key in chosen
    }
    return {
        "timeout_min": 240,
        "nodes": parameters["nodes"],
        "tasks_per_node": tasks,
        "name": "its",
        **common,
        "slurm_signal_delay_s": parameters["signal_delay_s"],
        "slurm_array_parallelism": 100_000,
        "slurm_additional_parameters": extra,
        "stderr_to_stdout": True,
        **{f"slurm_{key}": value for key, value in chosen.items()},
    }


def setup_lines(site: dict[str, Any]) -> list[str]:
    """Return the shell lines before the work: this very source, no network, a thread for each CPU; then the site's."""
    return [
        f"export PYTHONPATH={shlex.quote(str(ROOT))}${{PYTHONPATH:+:$PYTHONPATH}}",
        "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}",
        *(f"export {entry}" for entry in OFFLINE),
        f"cd {shlex.quote(os.getcwd())}",
        *site.get("setup", []),
    ]


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield consecutive parts of at most `size` items."""
    for first in range(0, len(items), size):
        yield list(items[first : first + size])


def _sbatch(jobs: Sequence[SlurmJob], submission: Path, options: dict[str, Any], site: dict[str, Any]) -> list[str]:
    """Submit one array; return the number of each of its jobs."""
    import submitit

    # Set up submitit.
    python = " ".join([*site.get("container", "").split(), site.get("python", shlex.quote(sys.executable))])
    executor = submitit.AutoExecutor(submission, cluster="slurm", slurm_max_num_timeout=1_000_000, slurm_python=python)
    executor.update_parameters(
        **options,
        slurm_setup=setup_lines(site),
        slurm_teardown=[f"bash {shlex.quote(str(ROOT / 'slurm' / 'requeue.sh'))} $?"],
    )

    # Submit, again if the controller is busy.
    for attempt in range(TRIES):
        try:
            with executor.batch():
                submitted = [executor.submit(job) for job in jobs]
            return [job.job_id for job in submitted]
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            if attempt == TRIES - 1 or not _passing(str(error)):
                raise
            log.warning("sbatch: %s; trying again", error)
            time.sleep(5.0 * 2**attempt)
    raise AssertionError("not reached")


def _passing(message: str) -> bool:
    """Return whether sbatch refused because the controller is busy or away."""
    return any(part in message for part in ("Socket timed out", "Unable to contact", "temporarily", "refused"))
