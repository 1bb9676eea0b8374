"""One file: whole or absent when it is written, and never lost when it is damaged."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
from pathlib import Path

from its.disk.leftovers import temporary_name

log = logging.getLogger(__name__)

UNREADABLE = (errno.EACCES, errno.EPERM, errno.ELOOP)
"""Errors that come again; others (a disk that does not answer) may pass, and mean no damage."""


class DamagedFile(ValueError):
    """A file that is not what was written, or something else that stands in its place."""


def read_file(path: str | Path) -> bytes | None:
    """Return the bytes of a file; None if it is absent.

    Raises:
        DamagedFile: what stands there is no file, or may not be read. OSError: the disk fails.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DamagedFile(f"{path} is no file")
        with open(path, "rb") as file:  # a third faster than by way of a Path
            return file.read()
    except FileNotFoundError:
        if os.path.islink(path):
            raise DamagedFile(f"{path} is a link to nothing") from None
        return None
    except OSError as error:
        if error.errno in UNREADABLE:
            raise DamagedFile(f"{path} cannot be read ({error.strerror})") from error
        raise


def read_text(path: str | Path) -> str:
    """Return the text of a file.

    Raises:
        FileNotFoundError: it is absent. ValueError: it is no UTF-8, or cannot be read.
    """
    content = read_file(path)
    if content is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return content.decode()


def set_aside(path: Path, why: str) -> None:
    """Rename what stands in the place of a file that is about to be made, and say so; nothing is lost."""
    aside = path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}")
    try:
        path.rename(aside)
    except FileNotFoundError:  # another process has
        return
    log.warning("%s: it is kept as %s, and made again when it is needed", why, aside.name)


def is_plain(path: Path) -> bool:
    """Return whether a file, and no link, folder or pipe, stands there."""
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` is only ever absent or whole; a link or a folder in its place is set aside."""
    # Write under another name.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

        # Rename it once everything is on disk.
        if os.path.lexists(path) and not is_plain(path):
            set_aside(path, f"{path} is no file")
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise

    # Put the new name on disk too.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def own_folders(root: Path, path: Path) -> None:
    """See that every folder between `root` and a file that is about to be written is no link out of `root`.

    Raises:
        NotADirectoryError: one is a file.
    """
    for folder in reversed(path.relative_to(root).parents[:-1]):
        if (root / folder).is_symlink():
            set_aside(root / folder, f"{root / folder} is a link, and nothing is written through links")
        elif os.path.lexists(root / folder) and not (root / folder).is_dir():
            raise NotADirectoryError(
                errno.ENOTDIR, "a file stands where a folder belongs; move it away", str(root / folder)
            )
