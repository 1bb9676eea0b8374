"""Verdicts of a judge outside, kept beside the run: which files it was handed, and what it found of each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from its.disk.files import DamagedFile
from its.disk.records import read_record, write_record
from its.disk.run_folder import RunFolder

HANDED_OUT = "handed_out"
"""Folder beside the verdicts with what was handed out."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HandOut:
    """The files of images that were handed to a judge, in the order of their problems.

    Attributes:
        cap: at which the run chose them; None is no cap.
        pixels: sha256 of the images' bytes one after the other.
        files: sha256 of each file.
    """

    cap: float | None
    pixels: str
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its record: of the same files the same."""
        return sha256("\n".join((self.pixels, *self.files)).encode()).hexdigest()[:16]

    def keep(self, run: RunFolder) -> None:
        """Write it beside the run, where it stays."""
        write_record(_folder(run) / HANDED_OUT / f"{self.name}.json", asdict(self))


@dataclass(frozen=True)
class Verdicts:
    """What a judge found of a run's images at a cap.

    Attributes:
        name: of the judge.
        correct: of each image, 0 to 1, in the order of problems.
        tags: of each image; empty of a judge without.
        source: sha256 of the file that they were read from. hand_out: name of the files that were judged.
    """

    name: str
    cap: float | None
    correct: tuple[float, ...]
    tags: tuple[str, ...]
    source: str
    hand_out: str

    def place(self, run: RunFolder) -> Path:
        """Return the path of its record: of each judge one for a cap and a number of images."""
        cap = "natural" if self.cap is None else f"{self.cap:.12g}"
        return _folder(run) / f"{self.name}-{cap}-{len(self.correct)}.json"

    def keep(self, run: RunFolder) -> bool:
        """Write the record beside the run; return False if it is there already.

        Raises:
            ValueError: other verdicts are, or what is there cannot be read.
        """
        path = self.place(run)
        try:
            same = _verdicts(path) == self
        except FileNotFoundError:
            write_record(path, asdict(self))
            return True
        if not same:
            raise ValueError(
                f"{path} has other verdicts of {self.name} on these images; give these another --name, or move that "
                "file away"
            )
        return False


def read_hand_outs(run: RunFolder) -> list[HandOut]:
    """Return what was handed out of a run's images.

    Raises:
        DamagedFile: a record is not what was written.
    """
    return [_hand_out(path) for path in sorted((_folder(run) / HANDED_OUT).glob("*.json"))]


def verdict_files(run: RunFolder) -> list[Path]:
    """Return the paths of the verdicts beside a run."""
    return sorted(_folder(run).glob("*.json"))


def read_verdicts(run: RunFolder) -> list[Verdicts]:
    """Return the verdicts beside a run; a record that is not what was written is named, and left out."""
    verdicts = []
    for path in verdict_files(run):
        try:
            verdicts.append(_verdicts(path))
        except DamagedFile as damage:
            log.warning("left out: %s", damage)
    return verdicts


def _folder(run: RunFolder) -> Path:
    return run.path / "verdicts"


def _hand_out(path: Path) -> HandOut:
    entries = _record(path, ("cap", "pixels", "files"))
    return HandOut(entries["cap"], entries["pixels"], tuple(entries["files"]))


def _verdicts(path: Path) -> Verdicts:
    entries = _record(path, ("name", "cap", "correct", "tags", "source", "hand_out"))
    correct, tags = entries["correct"], entries["tags"]
    numbers = isinstance(correct, list) and correct and all(type(each) in (int, float) for each in correct)
    if not numbers or not isinstance(tags, list) or len(tags) not in (0, len(correct)):
        raise DamagedFile(f"{path} holds no verdict on each image; move it away and make it again")
    return Verdicts(**{**entries, "correct": tuple(correct), "tags": tuple(map(str, tags))})


def _record(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Return a record with exactly these entries.

    Raises:
        DamagedFile: it is none.
    """
    try:
        entries = read_record(path)
    except DamagedFile as damage:
        raise DamagedFile(f"{path} is not what was written; restore it, or move it away and make it again") from damage
    if entries.keys() != set(keys):
        raise DamagedFile(f"{path} has the entries {', '.join(sorted(entries))}; move it away and make it again")
    return entries
