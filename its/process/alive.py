"""Signs of life: each process at work on a run keeps a small file in the run's folder, which it holds locked.

The kernel lets go of a lock when its holder dies, of whatever, so that a file that nobody holds is a killed process's.
Of a process on another machine only a lock that is held tells; else there is the time of its last sign, and its job.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from its.process.slurm import own_id

BEAT_S = 2.0
"""Between two signs."""

BYTES = 512
"""Of a sign, which is written anew in its place."""

OLD_S = 24 * 3600.0
"""After which another machine's sign goes when a run goes on: nobody knows what became of its process."""

PREFIX, SUFFIX = ".alive.", ".json"
"""Of a sign's name, around host and process number."""

Life = Literal["running", "killed", "unknown"]


@dataclass(frozen=True)
class Process:
    """A process as its sign shows it.

    Attributes:
        host, pid: where it is.
        job: of SLURM that it belongs to; empty outside.
        user: the number of its user.
        work: what it last said of its work; see `tell`.
        silent: seconds since its last sign.
        life: `unknown` on another machine, or on a disk without locks, unless it is surely running.
    """

    host: str
    pid: int
    job: str
    user: int
    work: dict[str, Any]
    silent: float
    life: Life


@contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Show in `folder` that this process is at work, until the block is left or the process ends."""
    # Take the place of those who died here.
    folder.mkdir(parents=True, exist_ok=True)
    for path, process in _signs(folder):
        if process.life == "killed" or (process.life == "unknown" and process.silent > OLD_S):
            path.unlink(missing_ok=True)

    # Be seen while the block lasts.
    sign = _Sign(folder / f"{PREFIX}{socket.gethostname()}.{os.getpid()}{SUFFIX}")
    _signs_here.append(sign)
    try:
        yield
    finally:
        _signs_here.remove(sign)
        sign.end()
        with suppress(OSError):
            folder.rmdir()  # a run that never began


def tell(**work: Any) -> None:
    """Say of this process's work what its next sign is to show: a few plain values."""
    for sign in _signs_here:
        sign.work = {**sign.work, **work}


def end_all() -> None:
    """Take this process's signs back, for it leaves in order."""
    for sign in _signs_here:
        sign.end()


def processes(folder: Path) -> list[Process]:
    """Return the processes that have a sign in `folder`, by host and number."""
    return [process for _, process in _signs(folder)]


class _Sign:
    """The sign of this process; a thread writes it, for the others may be in long calls."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.work: Mapping[str, Any] = {}
        self._ended = threading.Event()
        self._writing = threading.Lock()

        # No reader finds the file before it is locked.
        hidden = path.with_suffix(".new")
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self._locked = True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # a disk without locks
            self._locked = False
        self._write()
        hidden.replace(path)
        threading.Thread(target=self._beat, daemon=True, name="alive").start()

    def end(self) -> None:
        self._ended.set()
        free = self._writing.acquire(timeout=1.0)  # a disk that does not answer keeps no process from leaving
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        if free:
            self.let_go()

    def let_go(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            with self._writing, suppress(OSError):
                if not self._ended.is_set():
                    self._write()

    def _write(self) -> None:
        job = own_id() if "SLURM_JOB_ID" in os.environ else ""
        content = json.dumps({"locked": self._locked, "job": job, "work": self.work})
        os.pwrite(self._descriptor, content.ljust(BYTES).encode(), 0)


_signs_here: list[_Sign] = []


def _forget() -> None:
    """Let a forked child, which is not this process, hold no lock."""
    for sign in _signs_here:
        sign.let_go()


os.register_at_fork(after_in_child=_forget)


def _signs(folder: Path) -> list[tuple[Path, Process]]:
    signs = ((path, _read(path)) for path in sorted(folder.glob(f"{PREFIX}*{SUFFIX}")))
    return [(path, process) for path, process in signs if process is not None]


def _read(path: Path) -> Process | None:
    """Return what a sign shows; None if it is gone, or no sign."""
    host, _, pid = path.name.removeprefix(PREFIX).removesuffix(SUFFIX).rpartition(".")
    try:
        with path.open("rb") as file:
            is_held, status, text = _is_held(file.fileno()), os.fstat(file.fileno()), file.read()
    except OSError:
        return None
    try:
        content = json.loads(text)
        here = content["locked"] and host == socket.gethostname()
        life: Life = "running" if is_held else "killed" if here else "unknown"
        silent = max(0.0, time.time() - status.st_mtime)
        return Process(host, int(pid), content["job"], status.st_uid, content["work"], silent, life)
    except (KeyError, TypeError, ValueError):
        return None


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk without locks
        return False
    return False
