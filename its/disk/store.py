"""A run's folder: files that are whole or absent, and a manifest that says what they should be.

A file is written under a unique temporary name, synced and renamed. Its line in the manifest is
written before the rename, so a file without one, or with another sha256, is damaged. No locks: what
a file holds depends on its name alone, so double work is harmless.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from its.disk.array_names import CHOSEN, FEATURES, POOL, SETS, SHARDS
from its.disk.files import DamagedFile, own_folders, read_file, set_aside, write_atomic
from its.disk.leftovers import drop_leftovers
from its.disk.lines import Entry, Lines

if TYPE_CHECKING:
    import numpy as np

__all__ = ["MANIFEST", "TIMING", "Arrays", "DamagedFile", "Store", "write_atomic"]

Arrays = Mapping[str, "np.ndarray"]

log = logging.getLogger(__name__)

MANIFEST, TIMING, ANSWERS = "manifest.jsonl", "timing.jsonl", "answers.jsonl"
"""Files that lines are appended to; the last one's are answers of judges elsewhere."""

FOLDERS = (SHARDS, FEATURES, POOL, SETS, CHOSEN)
"""Where files of arrays lie."""


class Store:
    """The files of arrays in one run's folder.

    Args:
        folder: made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = Lines(folder / MANIFEST, _is_file)
        self._timing = Lines(folder / TIMING, _is_note)
        self._known: dict[str, dict[str, int]] = {}
        self._sources: dict[str, str] = {}
        self._digests: dict[str, dict[str, str]] = {}
        self._named: set[str] = set()

    def write(self, name: str, arrays: Arrays, *, source: str = "") -> None:
        """Write arrays as safetensors under a name relative to the folder, and enter it in the manifest.

        Args:
            source: name of the source that made them.
        """
        from its.disk.array_file import digests_of, to_bytes

        content = to_bytes(arrays)
        entry = {"file": name, "sha256": sha256(content).hexdigest(), "bytes": len(content)}
        self._manifest.append(entry | {"arrays": digests_of(arrays)} | ({"source": source} if source else {}))
        self.put(name, content)

    def put(self, name: str, content: bytes, known: Collection[str] | None = None) -> None:
        """Write a file unless it is there; a link or folder in its place is set aside, and a file that is not known.

        Args:
            known: sha256 of files that may be replaced; None if any may.
        """
        path = self.folder / name
        own_folders(self.folder, path)
        try:
            present = read_file(path)
            if present == content:
                return
            if present is not None and known is not None and sha256(present).hexdigest() not in known:
                set_aside(path, f"{path} is not what was written")
        except DamagedFile as damage:
            set_aside(path, str(damage))
        write_atomic(path, content)

    def read(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of a file; None if it is absent.

        Raises:
            DamagedFile: its bytes are not what the manifest says. ValueError: a later version has packed them.
        """
        from its.disk.array_file import from_bytes

        content = self._checked(name)
        try:
            return None if content is None else from_bytes(content)
        except DamagedFile as damage:
            raise DamagedFile(f"{self.folder / name} cannot be read: {damage}") from damage
        except ValueError as error:
            raise ValueError(f"{self.folder / name} cannot be read: {error}") from error

    def read_intact(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of a file; None, to make it again, if it is absent or, with a warning, damaged."""
        try:
            return self.read(name)
        except DamagedFile as damage:
            if str(damage) not in self._named:
                log.warning("%s; it is made again", damage)
            self._named.add(str(damage))
            return None

    def take_over(self, name: str, other: Store) -> None:
        """Take a file of another folder over, as it is, with its line; nothing that is here is replaced.

        Raises:
            DamagedFile: it is not what the other folder's manifest says, or is gone.
        """
        content = other.content(name)
        digest = sha256(content).hexdigest()
        lines = [entry for entry in other._manifest.entries if (entry["file"], entry["sha256"]) == (name, digest)]
        if digest not in self._files(name, digest):
            self._manifest.append(lines[-1])
        self.put(name, content, known=())

    def is_listed(self, name: str) -> bool:
        """Return whether the manifest has a line of a file, whatever became of the file."""
        self._seek(lambda: name in self._known)
        return name in self._known

    def present(self) -> set[str]:
        """Return the names of all files of arrays that are there."""
        paths = [path for folder in FOLDERS for path in (self.folder / folder).rglob("*.safetensors")]
        return {path.relative_to(self.folder).as_posix() for path in paths}

    def is_complete(self) -> bool:
        """Return whether no line is damaged, and every file of the manifest is there with its size; reads no file."""
        missing = self.missing()
        self._timing.read(anew=True)
        return not (missing or self._manifest.broken or self._timing.broken)

    def missing(self) -> list[str]:
        """Return the names of the files that the manifest knows and that are not there with their size."""
        self._learn(anew=True)
        return sorted(name for name, sizes in self._known.items() if self._size(name) not in sizes.values())

    def damage(self) -> dict[str, str]:
        """Read every file of arrays; return by its name a sentence on each that is damaged or gone."""
        self._learn(anew=True)
        sentences = {}
        for name in sorted({*self._known, *self.present()}):
            try:
                if self._checked(name) is None:
                    sentences[name] = f"{self.folder / name} is gone"
            except DamagedFile as damage:
                sentences[name] = str(damage)
        return sentences

    def put_away(self) -> None:
        """Set aside the files of arrays that are damaged, and forget them."""
        for name, sentence in self.damage().items():
            set_aside(self.folder / name, sentence)
        self.tidy()

    def source(self, name: str) -> str:
        """Return the name of the source that made a file, by its latest line; empty if none is on record."""
        self._seek(lambda: name in self._sources)
        return self._sources.get(name, "")

    def content(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            DamagedFile: it is not what the manifest says, or is gone.
        """
        content = self._checked(name)
        if content is None:
            raise DamagedFile(f"{self.folder / name} is gone")
        return content

    def lines(self) -> list[Entry]:
        """Return the latest line of each file of the manifest, in the order of their names."""
        entries: dict[str, list[Entry]] = {}
        self._manifest.read(anew=True)
        for entry in self._manifest.entries:
            entries.setdefault(entry["file"], []).append(entry)
        return [entry for name in sorted(entries) for entry in _latest(entries[name])]

    def digests(self, name: str) -> dict[str, str]:
        """Return the sha256 of each raw array of a file, by its latest line; empty of a line of an earlier version."""
        self._seek(lambda: name in self._digests)
        return self._digests.get(name, {})

    def note(self, entry: Mapping[str, Any]) -> None:
        """Append a line to the timing file: seconds, host, device, versions."""
        self._timing.append(entry)

    def notes(self) -> list[dict[str, Any]]:
        """Return the lines of the timing file."""
        self._timing.read()
        return self._timing.entries

    def tidy(self) -> None:
        """Rewrite the manifest with the latest line of each file, in order; drop what no line knows, and leftovers."""
        # A file that is there before the manifest is read has its line in it.
        present = self.present()
        lines = self.lines()
        for name in sorted(present - {entry["file"] for entry in lines}):
            set_aside(self.folder / name, f"{self.folder / name} has no line in {MANIFEST}")

        # Rewrite the lines.
        self._manifest.rewrite([entry for entry in lines if self._size(entry["file"]) is not None])
        self._timing.read(anew=True)
        if self._timing.broken:
            self._timing.rewrite(self._timing.entries)
        drop_leftovers(self.folder)

    def _checked(self, name: str) -> bytes | None:
        content = read_file(f"{self.folder}/{name}")
        if content is None:
            return None
        digest = sha256(content).hexdigest()
        if digest not in (known := self._files(name, digest)):
            what = f"is not what {MANIFEST} says it should be" if known else f"has no line in {MANIFEST}"
            raise DamagedFile(f"{self.folder / name} {what}")
        return content

    def _files(self, name: str, wanted: str) -> Collection[str]:
        """Return every sha256 that the manifest has of a file, among them the wanted one if it is there."""
        self._seek(lambda: wanted in self._known.get(name, ()))
        return self._known.get(name, {})

    def _seek(self, found: Callable[[], bool]) -> None:
        """Read the manifest as far as it takes to find something: its new lines, then all of them."""
        for anew in (False, True):
            if not found():
                self._learn(anew)

    def _learn(self, anew: bool) -> None:
        """Read the manifest's new lines, or all of them, which may have become fewer."""
        if anew:
            self._known = {}
        for entry in self._manifest.read(anew):
            self._known.setdefault(entry["file"], {})[entry["sha256"]] = entry["bytes"]
            self._sources[entry["file"]] = str(entry.get("source", ""))
            self._digests[entry["file"]] = entry.get("arrays", {})

    def _size(self, name: str) -> int | None:
        """Return the bytes of a file; None if none is there."""
        try:
            status = os.stat(f"{self.folder}/{name}")
        except OSError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None


def _latest(entries: Sequence[Entry]) -> list[Entry]:
    """Return the latest line of a file, with those of other bytes that hold the same arrays.

    Another machine's zlib may have packed them so, and which of the two files stands there now no line can tell.
    """
    arrays = entries[-1].get("arrays")
    same = [entry for entry in entries if arrays and entry.get("arrays") == arrays] or entries[-1:]
    return list({entry["sha256"]: entry for entry in same}.values())


def _is_file(entry: Entry) -> bool:
    """Return whether an entry is one of the manifest: of a file in the run's folder."""
    kinds = {"file": str, "sha256": str, "bytes": int, **({"arrays": dict} if "arrays" in entry else {})}
    typed = all(isinstance(entry.get(key), kind) for key, kind in kinds.items())
    return typed and not entry["file"].startswith("/") and ".." not in entry["file"].split("/")


def _is_note(entry: Entry) -> bool:
    """Return whether an entry is one of the timing file."""
    numbers = [entry[key] for key in ("first", "images", "seconds", "nfe") if key in entry]
    return all(isinstance(value, int | float) for value in numbers) and all(
        isinstance(value, str | int | float | None) for value in entry.values()
    )
