"""A run's folder: files that are whole or absent, and a manifest that says what they should be.

A file is written under a unique temporary name, synced and renamed. Its line in the manifest is
written before the rename, so a file without one, or with another sha256, is damaged. No locks: what
a file holds depends on its name alone, so double work is harmless.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from its.disk.leftovers import drop_leftovers, temporary_name

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray"]

log = logging.getLogger(__name__)

MANIFEST, TIMING = "manifest.jsonl", "timing.jsonl"


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` so that `path` is only ever absent or whole."""
    # Write under another name, and rename once everything is on disk.
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
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


class DamagedFile(ValueError):
    """A file whose bytes are not what the manifest says."""


class Store:
    """The files of arrays in one run's folder.

    Args:
        folder: made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests: dict[str, set[str]] = {}
        self._sources: dict[str, str] = {}
        self._manifest, self._lines_of_sources = _Lines(folder / MANIFEST), _Lines(folder / MANIFEST)
        self._timing = _Lines(folder / TIMING)

    def write(self, name: str, arrays: Arrays, *, source: str = "") -> None:
        """Write arrays as safetensors under a name relative to the folder, and enter it in the manifest.

        Args:
            source: name of the source that made them.
        """
        import numpy as np
        from safetensors.numpy import save

        content = save({key: np.ascontiguousarray(value) for key, value in arrays.items()})
        entry = {"file": name, "sha256": sha256(content).hexdigest(), "bytes": len(content)}
        self._append(MANIFEST, entry | ({"source": source} if source else {}))
        write_atomic(self.folder / name, content)

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of a file; None if it is absent.

        Raises:
            DamagedFile: its bytes are not what the manifest says.
        """
        from safetensors.numpy import load

        content = self._checked(name)
        return None if content is None else load(content)

    def read_intact(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of a file; None, to make it again, if it is absent or, with a warning, damaged."""
        try:
            return self.read(name)
        except DamagedFile as damage:
            log.warning("%s; it is made again", damage)
            return None

    def is_whole(self, name: str) -> bool:
        """Return whether a file is there and is what the manifest says."""
        try:
            return self._checked(name) is not None
        except DamagedFile:
            return False

    def source(self, name: str) -> str:
        """Return the name of the source that made a file, by its latest line; empty if none is on record."""
        for anew in (False, True):
            for entry in self._lines_of_sources.read(anew):
                self._sources[entry["file"]] = str(entry.get("source", ""))
            if name in self._sources:
                break
        return self._sources.get(name, "")

    def note(self, entry: Mapping[str, Any]) -> None:
        """Append a line to the timing file: seconds, host, device, versions."""
        self._append(TIMING, entry)

    def notes(self) -> list[dict[str, Any]]:
        """Return the lines of the timing file."""
        self._timing.read()
        return self._timing.entries

    def tidy(self) -> None:
        """Rewrite the manifest with one line for each file, in order; drop leftovers of dead processes."""
        self._manifest.read(anew=True)
        entries = {entry["file"]: entry for entry in self._manifest.entries}
        present = [entries[name] for name in sorted(entries) if (self.folder / name).exists()]
        write_atomic(self.folder / MANIFEST, "".join(_line(entry) for entry in present).encode())
        drop_leftovers(self.folder)

    def _checked(self, name: str) -> bytes | None:
        try:
            with open(f"{self.folder}/{name}", "rb") as file:  # a third faster than by way of a Path
                content = file.read()
        except FileNotFoundError:
            return None
        digest = sha256(content).hexdigest()
        for anew in (False, True):
            if digest not in self._digests.get(name, ()):
                for entry in self._manifest.read(anew):
                    self._digests.setdefault(entry["file"], set()).add(entry["sha256"])
        if digest not in self._digests.get(name, ()):
            raise DamagedFile(f"{self.folder / name} is not what manifest.jsonl says it should be")
        return content

    def _append(self, name: str, entry: Mapping[str, Any]) -> None:
        """Append a line in one write, so that it is whole also with other processes appending."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, _line(entry).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Lines:
    """The entries of a .jsonl file that grows; what has been read is not read again.

    Args:
        path: of the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: list[dict[str, Any]] = []
        self._position = 0

    def read(self, anew: bool = False) -> list[dict[str, Any]]:
        """Return the entries that are new since the last call; a line cut short by a kill is passed over.

        Args:
            anew: begin at the start of the file, for another process may have put another in its place.
        """
        if anew:
            self.entries, self._position = [], 0

        # Read from where the last call ended.
        try:
            with self.path.open("rb") as file:
                file.seek(self._position)
                content = file.read()
        except FileNotFoundError:
            return []

        # Parse whole lines; one that is still being written waits for the next call.
        whole = content.rfind(b"\n") + 1
        self._position += whole
        new = []
        for line in content[:whole].splitlines():
            try:
                new.append(json.loads(line))
            except ValueError:
                continue
        self.entries += new
        return new


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True) + "\n"
