"""Temporary names under which files are written, and what is left of them when their writer was killed."""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

OLD_S = 24 * 3600.0
"""After which a file of another machine, whose processes cannot be seen, is left over: no write takes that long."""

_NAME = re.compile(r"\..+\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp")


def temporary_name(path: Path) -> Path:
    """Return a name beside `path` that no other writer has: it says whose it is."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def drop_leftovers(folder: Path) -> None:
    """Remove, at and below a folder, what dead writers have left under temporary names; never a living one's."""
    for path in folder.rglob(".*.tmp"):
        with suppress(OSError):  # gone, or not ours to remove
            if is_left_over(path):
                path.unlink()


def is_left_over(path: Path) -> bool:
    """Return whether a file has a temporary name of ours and nobody writes it any more.

    Raises:
        OSError: it is gone.
    """
    match = _NAME.fullmatch(path.name)
    if match is None:
        return False
    if f".{socket.gethostname()}.{match['pid']}." in path.name:
        return not Path(f"/proc/{match['pid']}").exists()
    return time.time() - path.stat().st_mtime > OLD_S
