"""Sweeps on a real SLURM as a user begins them, and what may happen to them there."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.build import CONF

ROOT = CONF.parent
SMALL = ("shard=5", "sampler.steps=3", "batch=16", "~metric.kid", "~metric.prc", "~metric.isc")


@dataclass(frozen=True)
class Cluster:
    """One that slurm/local_cluster.sh has started in `folder`, and the launchers that were started on it."""

    folder: Path
    launchers: list[subprocess.Popen] = field(default_factory=list)

    def sweep(
        self, out_dir: Path, *overrides: str, launcher: str = "slurm", root: Path = ROOT, **environment: str
    ) -> subprocess.Popen:
        """`python run.py hydra/launcher=...` in the clone `root`, its output in `<out_dir>/launcher.log`.

        It waits for a controller that is away, so that it must not outlive these tests.
        """
        out_dir.mkdir(parents=True, exist_ok=True)
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            sys.executable,
            "run.py",
            "-m",
            f"hydra/launcher={launcher}",
            f"out_dir={out_dir}",
            *SMALL,
            "hydra.launcher.cpus_per_task=1",
            *overrides,
        ]
        usual = {key: value for key, value in os.environ.items() if not key.startswith("ITS_")}
        with (out_dir / "launcher.log").open("ab") as output:
            launcher = subprocess.Popen(
                command,
                cwd=root,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**usual, "OMP_NUM_THREADS": "1", **environment},
            )
        self.launchers.append(launcher)
        return launcher

    def said(self, out_dir: Path) -> str:
        """What the launcher has said so far."""
        return (out_dir / "launcher.log").read_text()

    def job_of(self, folder: Path) -> str:
        """The job that makes the run in `folder`, as its own log tells."""
        for log in folder.parents[5].rglob(".slurm/*/*_log.out"):
            found = re.search(r"^job (\S+), rank", log.read_text(), re.MULTILINE)
            if found and str(folder) in log.read_text():
                return found[1]
        return ""

    def ask(self, *command: str) -> str:
        """Run one of SLURM's commands."""
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def state(self, job: str) -> str:
        """PENDING, RUNNING, ...; empty when it is over."""
        done = subprocess.run(["squeue", "-h", "-j", job, "-o", "%T"], capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def start_now(self, job: str) -> None:
        """A requeued job is held for two minutes; not in a test.

        Nor is it started in the second in which it was killed: slurmd takes that for the killed one, and fails it.
        """
        time.sleep(2.0)
        self.ask("scontrol", "update", f"jobid={job}", "StartTime=now")
