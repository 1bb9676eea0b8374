"""Weights & Biases, in a process of its own: what it does, or fails to do, cannot reach the run.

This process never imports wandb. It sends the child (`its.tracker.child`) a line when a run begins and ends, and the
child follows the run's files. Lines wait in a pipe and in memory, so that nothing here waits for W&B before `close`.
"""

from __future__ import annotations

import atexit
import json
import logging
import netrc
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from its.disk.valid_json import to_json
from its.tracker.tracker import TrackedRun

log = logging.getLogger(__name__)

SERVER = "https://api.wandb.ai"


@dataclass(frozen=True)
class WandB:
    """A tracker with one W&B run for each run of ours, and one for the comparison at the end of a sweep.

    Where files go (`WANDB_DIR`, by default the experiment's folder), whose project it is (`WANDB_ENTITY`), the server
    (`WANDB_BASE_URL`), the key (`WANDB_API_KEY` or netrc) and the mode (`WANDB_MODE`) are wandb's own variables.

    Args:
        project: in W&B.
        timeout: seconds, above 0, that W&B may still take once everything else is done.
    """

    project: str = "its"
    timeout: float = 120.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", self.project):
            raise ValueError(f"tracker.project is {self.project!r}; use letters, digits and . _ -, at most 128")
        if not self.timeout > 0:
            raise ValueError(f"tracker.timeout is {self.timeout}; give seconds above 0")

    def begin(self, run: TrackedRun) -> None:
        """Open the run's W&B run, or continue it."""
        label, hash8 = run.label, run.folder.name.rpartition("-")[2]
        name = run.experiment.name
        _client(self).send(
            {
                "kind": "run",
                "id": _id(f"{name}-{hash8}"),
                "group": name,
                "folder": str(run.folder),
                "dir": str(run.experiment),
                "config": run.config | {"choices": label},
                "tags": [label["search"], label["verifier"], label["model"]],
                "name": f"{label['search']} {label['verifier']} {label['budget']} {run.folder.name.partition('-')[0]}",
            }
        )

    def end(self, status: str) -> None:
        """Log the curve and finish the run."""
        _client(self).send({"kind": "end", "status": status})

    def sweep(self, folder: Path) -> None:
        """Log the comparison of all runs."""
        _client(self).send(
            {
                "kind": "sweep",
                "id": _id(f"{folder.name}-sweep"),
                "group": folder.name,
                "folder": str(folder),
                "dir": str(folder),
                "name": f"{folder.name}: comparison",
                "config": {},
                "tags": ["sweep"],
            }
        )

    def close(self) -> None:
        """Wait until W&B has everything, at most `timeout` seconds; say where it is, or warn in one line."""
        _client(self).close()


class Client:
    """The parent's end of one tracker's child, which it starts with the first message."""

    def __init__(self, tracker: WandB, environment: Mapping[str, str] = os.environ) -> None:
        self._tracker = tracker
        self._mode = mode_of(environment)
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None
        self._waiting = b""
        self._closed = False

    def send(self, message: dict[str, Any]) -> None:
        """Put a line into the pipe, or keep what does not fit for later."""
        if self._closed or self._mode == "disabled":
            return
        folder = self._environment.get("WANDB_DIR") or message.get("dir")
        self._waiting += to_json(message | {"dir": folder}, default=str).encode() + b"\n"
        try:
            if self._child is None:
                self._child = self._start(str(folder))
            assert self._child.stdin is not None
            self._waiting = self._waiting[os.write(self._child.stdin.fileno(), self._waiting) :]
        except BlockingIOError:
            pass
        except OSError as error:
            if self._child is None:
                self._warn(f"its process did not start: {error}")

    def close(self) -> None:
        """End the child; tell what became of its runs."""
        if self._closed or self._child is None:
            return

        # Wait for the child.
        self._closed = True
        try:
            answer, _ = self._child.communicate(self._waiting, timeout=self._tracker.timeout)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
            self._warn(f"no end after {self._tracker.timeout:g} s")
            return

        # Say what became of its runs.
        reports = [json.loads(line) for line in answer.splitlines()]
        failures = [report["failed"] for report in reports if "failed" in report]
        if failures or self._child.returncode:
            self._warn(failures[0] if failures else f"its process ended with exit code {self._child.returncode}")
        for folder in dict.fromkeys(report["dir"] for report in reports if "dir" in report):
            place = "are at the server too" if self._mode == "online" else f"go online with  wandb sync {folder}"
            log.info("W&B runs: look at them with  wandb leet %s ; they %s", folder, place)

    def _start(self, folder: str) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, (root, self._environment.get("PYTHONPATH"))))
        settings = {**asdict(self._tracker), "mode": self._mode}
        child = subprocess.Popen(
            [sys.executable, "-m", "its.tracker.child", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env={"WANDB_DATA_DIR": f"{folder}/wandb/data", **self._environment, "PYTHONPATH": paths},
        )
        assert child.stdin is not None
        os.set_blocking(child.stdin.fileno(), False)
        return child

    def _warn(self, reason: str) -> None:
        self._closed = True
        remedy = "; with WANDB_MODE=offline the same command writes its files only" if self._mode == "online" else ""
        log.warning("W&B failed, results are whole: %s%s", " ".join(reason.split()), remedy)


def mode_of(environment: Mapping[str, str]) -> str:
    """Return `WANDB_MODE`, or `online` if the environment or netrc has a key for the server, else `offline`."""
    if environment.get("WANDB_MODE"):
        return environment["WANDB_MODE"]
    if environment.get("WANDB_API_KEY"):
        return "online"
    host = urlsplit(environment.get("WANDB_BASE_URL") or SERVER).hostname or ""
    path = environment.get("NETRC") or Path(environment.get("HOME", "~")).expanduser() / ".netrc"
    try:
        return "online" if netrc.netrc(str(path)).authenticators(host) else "offline"
    except (OSError, netrc.NetrcParseError):
        return "offline"


@cache
def _client(tracker: WandB) -> Client:
    """Return this process's one client: all runs of a sweep share a child, so that a failure is told once."""
    client = Client(tracker)
    atexit.register(client.close)
    return client


def _id(name: str) -> str:
    """Return a name with the characters that W&B admits in an id."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)
