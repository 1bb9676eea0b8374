"""Packing: a finished run as one archive, the same whoever packs it and when, and unpacking of what is not trusted.

A pack is an uncompressed `.tar` of the run's own files: `metrics.json`, the small files that this has the sha256 of,
the manifest, the files that the manifest has a line of, the lists of their sources, and the answers of judges, whose
lines are sealed one by one. No other member is unpacked.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import IO

from its.disk.array_names import FEATURES, POOL, SHARDS
from its.disk.files import DamagedFile, read_file
from its.disk.leftovers import temporary_name
from its.disk.records import FILES, read_record
from its.disk.run_folder import RunFolder
from its.disk.sealed import sealed
from its.disk.store import ANSWERS
from its.moving.portable import config_text, require_portable, summary_without_places, timing_text
from its.report.figures import curve_figure
from its.report.protocol import sentence
from its.report.runs import LABELS
from its.rerun.finished_run import FinishedRun

ARRAYS = re.compile(r"[a-z]+/([^/\\.][^/\\]*/)?[0-9]{8}\.safetensors")
ROOT_NAME = re.compile(r"\w[\w.+=-]*")
"""Names of files of arrays, and of the folder that all members are in."""

MOST_BYTES = 1 << 28
"""Of the summary and of the manifest, which are read whole."""

CHUNK = 1 << 20


def pack(run: FinishedRun, out: Path) -> int:
    """Write a run's pack; return the number of files in it.

    Raises:
        ValueError: something of the run is damaged, or is a place of this machine that cannot be left out.
        FileExistsError: `out` is there.
    """
    if os.path.lexists(out):
        raise FileExistsError(f"{out} is there already; name a new file")
    small = _small_files(run)
    names = sorted(run.files.store.present())
    temporary = temporary_name(out)
    try:
        with tarfile.open(temporary, "x", format=tarfile.PAX_FORMAT) as archive:
            for name, content in sorted(small.items()):
                _add(archive, f"{run.folder.name}/{name}", content)
            for name in names:
                _add(archive, f"{run.folder.name}/{name}", run.files.store.content(name))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(out)
    finally:
        temporary.unlink(missing_ok=True)
    return len(small) + len(names)


def _small_files(run: FinishedRun) -> dict[str, bytes]:
    """Return the content of each small file of a pack, by its name."""
    files, summary = run.files, summary_without_places(run.summary)
    if not files.is_whole(files.read_summary()):
        raise ValueError(f"{run.folder} is damaged or was changed since it was measured; run its command again first")

    # Write anew those that name this machine, and read the others.
    contents = {
        files.config.name: config_text(files).encode(),
        files.timing.name: timing_text(files).encode(),
    }
    if summary["command"] != run.summary["command"]:
        label = {key: str(summary[key]) for key in LABELS}
        note = sentence(summary["protocol"]) if "protocol" in summary else ""
        contents[files.curve_figure.name] = curve_figure(summary["curve"], label, summary["command"], note)
    for name in run.summary.get(FILES, ()):
        contents.setdefault(name, _content(files.path / name))
    contents[files.summary.name] = sealed(
        {**summary, FILES: {name: sha256(content).hexdigest() for name, content in contents.items()}}, indent=1
    ).encode()

    # Add the manifest, the lists and the answers, and look for what must not leave this machine.
    present = files.store.present()
    lines = (entry for entry in files.store.lines() if entry["file"] in present)
    contents[files.manifest.name] = "".join(map(sealed, lines)).encode()
    contents |= {path.relative_to(files.path).as_posix(): _content(path) for path in files.sources}
    if answers := read_file(files.path / ANSWERS):
        contents[ANSWERS] = answers
    for name, content in contents.items():
        if not name.endswith((".png", ".safetensors")):
            require_portable(name, content.decode())
    return contents


def _content(path: Path) -> bytes:
    content = read_file(path)
    if content is None:
        raise DamagedFile(f"{path} is gone")
    return content


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


@dataclass(frozen=True)
class Pack:
    """A pack from wherever: its members are looked at before any of them is unpacked.

    Attributes:
        path: of the archive.
        name: of the folder in it.
        members: by their names within that folder.
    """

    path: Path
    name: str
    members: Mapping[str, tarfile.TarInfo]

    @classmethod
    def of(cls, path: Path) -> Pack:
        """Read the headers of an archive.

        Raises:
            ValueError: it is no pack: no archive, or with a member that is no plain file of one folder.
        """
        with _opened(path) as archive:
            members = dict[str, tarfile.TarInfo]()
            roots = set[str]()
            for member in archive:
                root, _, name = member.name.partition("/")
                plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
                if not plain or not ROOT_NAME.fullmatch(root) or not _may_be(name):
                    raise ValueError(f"{path} is no pack of a run: {member.name!r} is nothing that a run has")
                if name in members:
                    raise ValueError(f"{path} is no pack of a run: it has {member.name!r} twice")
                members[name] = member
                roots.add(root)
        if len(roots) != 1:
            raise ValueError(f"{path} is no pack of a run: it holds {len(roots)} folders")
        return cls(path, roots.pop(), members)

    def unpack(self, folder: Path) -> None:
        """Unpack to a new folder, which is whole or absent.

        Raises:
            ValueError: a member is not what summary and manifest say, or is missing.
            FileExistsError: `folder` is there.
        """
        if os.path.lexists(folder):
            raise FileExistsError(f"{folder} is there already; name a new folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_name(folder)
        temporary.mkdir()
        try:
            with _opened(self.path) as archive:
                self._unpack(archive, RunFolder(temporary))
            temporary.rename(folder)
        finally:
            rmtree(temporary, ignore_errors=True)

    def _unpack(self, archive: tarfile.TarFile, files: RunFolder) -> None:
        # What tells of all else comes first.
        for path in (files.summary, files.manifest):
            member = self.members.get(path.name)
            if member is None or member.size > MOST_BYTES:
                raise ValueError(f"{self.path} is no pack of a run: it has no {path.name}, or one of no run's size")
            path.write_bytes(_bytes(archive, member).read())
        expected = self._known(files)

        # Then that of which they tell, and nothing else.
        if unknown := sorted(self.members.keys() - expected.keys()):
            raise ValueError(f"{self.path} is no pack of a run: neither record nor manifest know {unknown[0]!r}")
        if missing := sorted(expected.keys() - self.members.keys()):
            raise ValueError(f"{self.path} is cut short: it has no {missing[0]!r}")
        for name in sorted(expected.keys() - {files.summary.name, files.manifest.name}):
            path = files.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not _copied(_bytes(archive, self.members[name]), path).startswith(expected[name]):
                raise ValueError(f"{self.path} is damaged: {name} is not what its record says")

    def _known(self, files: RunFolder) -> dict[str, tuple[str, ...]]:
        """Return what the sha256 of each member may be, or begin with, by its name."""
        listed = read_record(files.summary).get(FILES)
        if not isinstance(listed, dict):
            raise ValueError(f"{self.path} is no pack of a run: its {files.summary.name} names no files")
        expected: dict[str, tuple[str, ...]] = {files.summary.name: (), files.manifest.name: ()}
        expected |= {name: (str(digest),) for name, digest in listed.items() if _is_small(name)}
        for entry in files.store.lines():
            expected[entry["file"]] = (*expected.get(entry["file"], ()), entry["sha256"])
        lists = {name: (Path(name).stem,) for name in self.members if _is_list(name)}
        return expected | lists | {name: ("",) for name in self.members if name == ANSWERS}


def _may_be(name: str) -> bool:
    """Return whether a run has files of this name."""
    run = RunFolder(Path())
    arrays = name.startswith((SHARDS, FEATURES, POOL)) and ARRAYS.fullmatch(name)
    grown = name in (run.summary.name, run.manifest.name, ANSWERS)
    return bool(grown or arrays or _is_small(name) or _is_list(name))


def _is_small(name: str) -> bool:
    run = RunFolder(Path())
    small = (run.config, run.timing, run.curve, run.curve_figure, run.per_image, run.problems)
    names = {path.name for path in small}
    return name in names or ("/" not in name and fnmatch(name, run.samples("*").name))


def _is_list(name: str) -> bool:
    stem = Path(name).stem
    return bool(re.fullmatch(r"[0-9a-f]{12}", stem)) and name == RunFolder(Path()).source(stem).as_posix()


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive that is not compressed.

    Raises:
        ValueError: it is none, or is damaged.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path} is no pack of a run, or is damaged ({error})") from error


def _bytes(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None, "it is a plain file"
    return content


def _copied(content: IO[bytes], path: Path) -> str:
    """Copy a member to a file, and return its sha256."""
    digest = sha256()
    with path.open("xb") as file:
        while piece := content.read(CHUNK):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()
