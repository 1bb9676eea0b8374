"""Leaving when a cluster takes its machine back: within five seconds, at any byte.

Nothing has to be saved: a shard is on disk whole or absent, so that leaving costs at most the shard under way. A
batch script that sees one of the exit codes below hands its job back to the queue (`slurm/requeue.sh`).
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from its.process.alive import end_all
from its.process.slurm import Allocation
from its.process.status import write_status
from its.process.streams import display
from its.process.workers import Worker

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""A cluster's, on which a worker leaves, with exit code 128 + the signal's number: 143, 138, 140."""

HEEDED = (signal.SIGINT, signal.SIGHUP, *SIGNALS)
"""All on which a process leaves: on a person's Ctrl-C as on SIGTERM, with exit code 130, and on a second one at once;
on a terminal that closes with 129, but not under `nohup`."""

PATIENCE_S = 3.0
"""For children to leave, before they are killed."""

NO_PROGRESS = 1
"""Exit code of a worker that a time limit stopped before it had finished one shard: again would be the same again."""

children: list[subprocess.Popen] = []
"""Processes that leave with this one."""

_leaving = threading.Event()
_starting = threading.Lock()
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
    for number in HEEDED:
        if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN):
            signal.signal(number, _ignore)
    os.register_at_fork(after_in_child=_forget)
    atexit.register(lambda: _stay() if _leaving.is_set() else None)  # the end of a child is no end of ours
    threading.Thread(target=_watch, args=(read,), daemon=True, name="leave").start()


def start(command: Sequence[str], **options: Any) -> subprocess.Popen:
    """Start a process that leaves with this one.

    Args:
        options: of `subprocess.Popen`.
    """
    with _starting:
        if not _leaving.is_set():
            children.append(subprocess.Popen(command, **options))
            return children[-1]
    return _stay()


def ended(process: subprocess.Popen) -> int:
    """Wait for a process that `start` started; return its exit code, but not while this one leaves."""
    code = process.wait()
    return _stay() if _leaving.is_set() else code


@contextmanager
def exits_as_errors() -> Iterator[None]:
    """Turn what would end this process from within the block, such as a model's `sys.exit`, into an error.

    Raises:
        RuntimeError: the block called for the end.
    """
    try:
        yield
    except (SystemExit, KeyboardInterrupt) as end:
        name = f"{type(end).__name__}({end})"
        raise RuntimeError(f"{name} was raised by the code of this run, which may fail, not end its process") from end


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
        for number in HEEDED:
            if signal.getsignal(number) is _ignore:
                signal.signal(number, signal.SIG_DFL)


def _watch(read: int) -> None:
    while True:
        for number in os.read(read, 64):
            if signal.getsignal(number) is not _ignore:
                continue
            if not _leaving.is_set():
                _leaving.set()
                threading.Thread(target=_leave, args=(signal.Signals(number),), daemon=True).start()
            elif number == signal.SIGINT:
                _leave_at_once()


def _stay() -> NoReturn:
    """Wait for the end of this process, which leaves: what its children's ends would lead to must not begin."""
    while True:
        time.sleep(PATIENCE_S)


def _end_children() -> None:
    """Have the children leave; kill those that do not."""
    with _starting:
        living = [child for child in children if child.poll() is None]
    for child in living:
        child.terminate()
    deadline = time.monotonic() + PATIENCE_S
    for child in living:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()


def _leave_at_once() -> None:
    for child in children:
        child.kill()
    os._exit(128 + signal.SIGINT)


def _leave(number: signal.Signals) -> None:
    _end_children()
    end_all()
    code, reason = 128 + number, f"{number.name}: leaving; finished shards are on disk, and the same command goes on"
    allocation = Allocation.here() if number in (signal.SIGUSR1, signal.SIGUSR2) else None
    if allocation is not None and allocation.time_is_up(number) and not _progressed():
        code = NO_PROGRESS
        reason = (
            f"{number.name}: the time limit of {allocation.limit} is over before one shard was finished, so the "
            "job is not requeued; lower shard, or raise hydra.launcher.timeout_min"
        )
        write_status({"status": "failed", "reason": reason, "folder": None})
    try:
        if not Worker.is_shown_by_another():
            clear = "\r\x1b[J" if sys.stderr.isatty() else ""  # lines that show how far runs are
            print(f"{clear}{reason}", file=display(), flush=True)
    finally:
        os._exit(code)


def _progressed() -> bool:
    """Return whether some run has more files than when this process began it; other workers' files count too."""
    return any(_files(folder) > before for folder, before in _files_at_start.items())


def _files(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*.safetensors"))
