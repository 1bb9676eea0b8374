"""The sha256 of a file of weights, which is read once and then remembered for as long as the file stays the same.

A file is known by its path, size, inode, and the times at which its content and its inode last changed. What is
remembered lies in the user's cache, a small file for each file of weights; without it, files are read again.
"""

from __future__ import annotations

import logging
import re
import time
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any, NamedTuple

from its.disk.cache import cache_folder
from its.disk.files import read_text, write_atomic
from its.disk.sealed import sealed, unsealed

log = logging.getLogger(__name__)

SETTLED_S = 10.0
"""A file that changed so shortly before it was read may change once more at the same time of its disk's clock."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


class State(NamedTuple):
    """The state of a file that tells whether it is still the same; times are in nanoseconds."""

    size: int
    mtime: int
    ctime: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> State:
        """Ask the file's disk."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file; it is read unless it was before, by this or an earlier process."""
    path = path.absolute()
    return _sha256(path, State.of(path))


@lru_cache(maxsize=1024)
def _sha256(path: Path, state: State) -> str:
    # Remember.
    note = cache_folder() / "weights" / f"{sha256(str(path).encode()).hexdigest()[:32]}.json"
    key = {"path": str(path), **state._asdict()}
    if remembered := _remembered(note, key):
        return remembered

    # Read the file, and keep its sha256 if nobody can have changed it meanwhile.
    began = time.time()
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if State.of(path) == state and began - max(state.mtime, state.ctime) / 1e9 > SETTLED_S:
        try:
            write_atomic(note, sealed({**key, "sha256": digest}).encode())
        except OSError as error:
            log.debug("%s cannot be written (%s), so %s is read again next time", note, error, path)
    return digest


def _remembered(note: Path, key: dict[str, Any]) -> str | None:
    """Return the sha256 that a note has of a file of this key; None if there is no such note, or it is damaged."""
    try:
        entry = unsealed(read_text(note))
        digest = entry.pop("sha256")
    except (OSError, ValueError, KeyError):
        return None
    return digest if entry == key and isinstance(digest, str) and _SHA256.fullmatch(digest) else None
