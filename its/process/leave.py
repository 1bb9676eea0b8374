"""Leaving when a cluster takes its machine back: within five seconds, at any byte.

Nothing has to be saved: a shard is on disk whole or absent, so that leaving costs at most the shard under way. A
batch script that sees one of the exit codes below hands its job back to the queue (`slurm/requeue.sh`).
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from its.process.slurm import Allocation
from its.process.status import write_status

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""On which a worker leaves, with exit code 128 + the signal's number: 143, 138, 140."""

NO_PROGRESS = 1
"""Exit code of a worker that a time limit stopped before it had finished one shard: again would be the same again."""

children: list[subprocess.Popen] = []
"""Processes that leave with this one."""

_files_at_start: dict[Path, int] = {}
_watching = False


def leave_on_signals() -> None:
    """Let this process leave on `SIGNALS` from now on, also from the midst of a long call into a library.

    Python runs handlers only between its own instructions, which a large batch may delay by minutes. Its C handler
    however writes the signal's number to a pipe at once, and a thread reads that.
    """
    global _watching
    if _watching or threading.current_thread() is not threading.main_thread():
        return
    _watching = True
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _ignore)
    os.register_at_fork(after_in_child=_forget)
    threading.Thread(target=_watch, args=(read,), daemon=True, name="leave").start()


def begins(folder: Path) -> None:
    """Count the files of a run that starts or goes on in `folder`: they are not this process's progress."""
    _files_at_start.setdefault(folder, _files(folder))


def _ignore(number: int, frame: Any) -> None:
    """Do nothing: the thread that reads the pipe acts."""


def _forget() -> None:
    """Let a forked child, which has no such thread, die of a signal as any process does."""
    global _watching
    if _watching:
        _watching = False
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)


def _watch(read: int) -> None:
    while True:
        for number in os.read(read, 64):
            if number in SIGNALS:
                _leave(signal.Signals(number))


def _leave(number: signal.Signals) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    code, reason = 128 + number, f"{number.name}: leaving; finished shards are on disk, and the same command goes on"
    allocation = Allocation.here() if number != signal.SIGTERM else None
    if allocation is not None and allocation.time_is_up(number) and not _progressed():
        code = NO_PROGRESS
        reason = (
            f"{number.name}: the time limit of {allocation.limit} is over before one shard was finished, so the "
            "job is not requeued; lower shard, or raise hydra.launcher.timeout_min"
        )
        write_status({"status": "failed", "reason": reason, "folder": None})
    print(reason, file=sys.stderr, flush=True)
    os._exit(code)


def _progressed() -> bool:
    """Return whether some run has more files than when this process began it; other workers' files count too."""
    return any(_files(folder) > before for folder, before in _files_at_start.items())


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.safetensors"))
