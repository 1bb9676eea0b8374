"""A .jsonl file that many processes append to: each line ends with its own checksum."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from its.disk.files import DamagedFile, is_plain, read_file, set_aside, write_atomic
from its.disk.sealed import sealed, unsealed

log = logging.getLogger(__name__)

Entry = dict[str, Any]


class Lines:
    """The entries of the file; what has been read is not read again.

    Args:
        path: of the file, which need not be there.
        fits: whether an entry has what its readers take for granted; one that has not is damaged.
    """

    def __init__(self, path: Path, fits: Callable[[Entry], bool]) -> None:
        self.path = path
        self.fits = fits
        self.entries: list[Entry] = []
        self.broken = False
        self._position = 0
        self._named: set[str] = set()

    def read(self, anew: bool = False) -> list[Entry]:
        """Return the entries that are new since the last call; a damaged line is named and passed over.

        Args:
            anew: begin at the start of the file, for another process may have put another in its place.
        """
        readable = self._content()
        content = readable or b""
        if anew or content[: self._position].rfind(b"\n") + 1 != self._position:
            self.entries, self._position, self.broken = [], 0, False

        # Read whole lines; one that is still being written, or was cut short by a kill, waits for its end.
        whole = content.rfind(b"\n") + 1
        lines = content[self._position : whole].splitlines(keepends=True)
        self.broken |= readable is None or whole < len(content)
        self._position = whole

        # Take the entries of those that are what was written.
        entries = [entry for line in lines if line.strip() and (entry := self._entry(line)) is not None]
        self.entries += entries
        return entries

    def append(self, *entries: Mapping[str, Any]) -> None:
        """Append lines in one write, so that they are whole also with other processes appending.

        Raises:
            OSError: the disk is full, or fails.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = self._open()
        try:
            size = os.fstat(descriptor).st_size
            begun = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # a line that a kill cut short
            lines = ("\n" * begun + "".join(map(sealed, entries))).encode()
            if os.write(descriptor, lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rewrite(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Put entries in the place of the file, of which a copy is kept if it has damaged lines."""
        before, content = self._content(), "".join(map(sealed, entries)).encode()
        if before is None:
            set_aside(self.path, f"{self.path} cannot be read")
        elif self.broken:
            copy = self.path.with_name(f"{self.path.name}.damaged-{secrets.token_hex(4)}")
            log.warning("%s has damaged lines: they are taken out, and it is kept as %s", self.path, copy.name)
            write_atomic(copy, before)
        if content != before:
            write_atomic(self.path, content)
        self.broken = False

    def _content(self) -> bytes | None:
        """Return what the file holds; None, and say so, if something else stands in its place."""
        try:
            return read_file(self.path) or b""
        except DamagedFile as damage:
            self._name(str(damage))
            return None

    def _entry(self, line: bytes) -> Entry | None:
        """Return the entry of a line; None if it is damaged, which is said once."""
        try:
            entry = unsealed(line.decode())
            if self.fits(entry):
                return entry
        except ValueError:
            pass
        self.broken = True
        self._name(f"{self.path} has a damaged line, which is passed over: {line.decode(errors='replace')[:60]!r}")
        return None

    def _name(self, damage: str) -> None:
        """Say what is damaged, once."""
        if damage not in self._named:
            log.warning("%s", damage)
        self._named.add(damage)

    def _open(self) -> int:
        """Open the file to append to it; what else stands in its place is set aside, lines behind a link are copied."""
        if os.path.lexists(self.path) and not is_plain(self.path):
            write_atomic(self.path, self._content() or b"")
        elif os.path.exists(self.path) and not os.access(self.path, os.R_OK | os.W_OK):
            set_aside(self.path, f"{self.path} cannot be read and written")
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
