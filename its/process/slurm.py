"""Questions about jobs to SLURM, asked with its own commands; never sacct, which many clusters do not have."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TIMEOUT_S = 30.0
"""A controller that does not answer for this long is taken to be away."""


class Unreachable(Exception):
    """An error: SLURM's controller did not answer, so that nothing is known about any job."""


def queue() -> dict[str, str]:
    """Return the state of every job of this user that is not over, and why it waits; an array's as `<array>_<task>`.

    Raises:
        Unreachable: squeue could not ask.
    """
    lines = _ask(["squeue", "--noheader", "--array", "--me", "--all", "--format=%i|%T|%r"]).splitlines()
    fields = [line.strip().split("|", 2) for line in lines if line.count("|") >= 2]
    return {job: state if reason == "None" else f"{state} ({reason})" for job, state, reason in fields}


def describe(job: str, timeout: float = TIMEOUT_S) -> dict[str, str]:
    """Return the fields of a job, also of one that ended some minutes ago; empty if SLURM has forgotten it."""
    try:
        text = _ask(["scontrol", "--oneliner", "show", "job", job], timeout)
    except Unreachable:
        return {}
    lines = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines()]
    return lines[0] if lines else {}


def ending(job: str) -> str:
    """Return SLURM's account of how a job ended, in a few words."""
    fields = describe(job)
    if not fields:
        return "SLURM does not say how"
    return (
        f"SLURM says {fields.get('JobState', 'nothing')}, reason {fields.get('Reason', 'None')}, "
        f"exit code {fields.get('ExitCode', '?')}"
    )


def max_array_size() -> int:
    """Return the number of tasks that one array may have on this cluster.

    Raises:
        Unreachable: scontrol could not ask.
    """
    match = re.search(r"^MaxArraySize\s*=\s*(\d+)", _ask(["scontrol", "show", "config"]), re.MULTILINE)
    return max(1, int(match[1])) if match else 1001


@dataclass(frozen=True)
class Allocation:
    """The job that this process runs in.

    Attributes:
        seconds: that it has run.
        limit: its time limit, as SLURM writes it.
        preempted: whether another job is to take its place.
    """

    seconds: float
    limit: str
    preempted: bool

    @classmethod
    def here(cls, environment: Mapping[str, str] = os.environ) -> Allocation | None:
        """Return this process's job; None outside SLURM, or if that does not answer soon."""
        fields = describe(own_id(environment), timeout=3.0) if "SLURM_JOB_ID" in environment else {}
        if not {"RunTime", "TimeLimit"} <= set(fields):
            return None
        return cls(
            duration(fields["RunTime"]),
            fields["TimeLimit"],
            fields.get("PreemptTime", "None") not in ("None", "Unknown"),
        )

    def time_is_up(self, number: int) -> bool:
        """Return whether a signal came because of the time limit: a user's signal, late, with nobody preempting."""
        if self.preempted or self.limit == "UNLIMITED":
            return False
        return number in (signal.SIGUSR1, signal.SIGUSR2) and self.seconds >= 0.5 * duration(self.limit)


def own_id(environment: Mapping[str, str] = os.environ) -> str:
    """Return this job's id, which every SLURM command understands: an array shares its number with its first task."""
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def duration(text: str) -> float:
    """Return the seconds of SLURM's `[days-]hours:minutes:seconds`."""
    days, _, clock = text.rpartition("-")
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60.0 + seconds


def _ask(command: Sequence[str], timeout: float = TIMEOUT_S) -> str:
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
    except FileNotFoundError as error:
        raise Unreachable(
            f"{command[0]} is not on this machine: run this on a login node of a SLURM cluster, or use "
            "hydra/launcher=local"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{command[0]} did not answer within {timeout:.0f} s") from error
    except subprocess.CalledProcessError as error:
        raise Unreachable(error.stderr.strip() or f"{command[0]} ended with exit code {error.returncode}") from error
    return process.stdout
