"""The allocation of a cluster that a sweep would book, by its plans and a launcher's settings; SLURM is not asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from its.cluster.site import load_site
from its.cluster.submit import chunks, sbatch_options
from its.config.plan import Plan, by_folder, duration

PER_TASK = {"gres": "gres={}", "cpus_per_task": "{} CPUs", "mem_gb": "{} GB"}
"""What is asked for each task, in words."""


def allocation(plans: Sequence[Plan], parameters: Mapping[str, Any]) -> str:
    """Return in one line what SLURM would be asked for, and whether the runs fit their time limit.

    Args:
        parameters: of `hydra/launcher=slurm`.

    Raises:
        ValueError: a setting is badly formed.
    """
    # Read the settings.
    site = load_site()
    options = sbatch_options(dict(parameters), site)
    tasks, limit = options["nodes"] * options["tasks_per_node"], 60.0 * options["timeout_min"]
    asked = {key: parameters.get(key) or site.get(key) for key in PER_TASK}
    each = ", ".join(words.format(asked[key]) for key, words in PER_TASK.items() if asked[key])

    # Put the runs that are left into jobs.
    missing = [plan for plan in by_folder(plans).values() if plan.work.missing]
    jobs = list(chunks(missing, parameters["runs_per_job"]))
    if not jobs:
        return "SLURM: nothing is left to submit"
    booked = len(jobs) * tasks * limit
    plural = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((len(jobs), "job"), (tasks, "task"))]
    return (
        f"SLURM: {plural[0]} × {plural[1]}{f' ({each} each)' if each else ''} × {limit / 3600:g} h: "
        f"{booked / 3600:,.1f} task-hours; {_fit(jobs, tasks, limit)}"
    )


def _fit(jobs: Sequence[Sequence[Plan]], tasks: int, limit: float) -> str:
    """Return how the jobs' estimates compare with their time limit."""
    seconds = [[plan.seconds for plan in job] for job in jobs]
    known = [sum(filter(None, each)) / tasks for each in seconds if None not in each]
    unknown = len(jobs) - len(known)
    rest = f"; of {unknown} the rate is unknown" if unknown else ""
    if not known:
        return "their rate is unknown: run python scripts/benchmark.py"
    long = sum(each > limit for each in known)
    used = f"about {duration(sum(known) * tasks)} of work, the longest job about {duration(max(known))}"
    remark = f"; {long} will not fit and be requeued: raise hydra.launcher.timeout_min, or add tasks" if long else ""
    return f"{used}{rest}{remark}"
