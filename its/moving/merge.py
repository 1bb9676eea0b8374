"""Joining of folders that hold parts of one run, made on several machines: the first takes over what the others have.

All is checked before anything is written. What is written only adds, one whole file after the other, each behind its
line; so a merge that was killed is repeated, and none can lose what is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from its.config.identity import differences, of_before
from its.config.provenance import MOST_NAMED
from its.disk.array_names import CHOSEN, FEATURES, POOL, SHARDS, first_of
from its.disk.files import read_file
from its.disk.run_folder import RunFolder
from its.moving.sound import raw_digests
from its.process.device import types_of
from its.process.source_files import listed
from its.verifier.answers import take_over

ORDER = (FEATURES, POOL, SHARDS)
"""Folders in the order in which a shard's files are joined: once the shard itself is there, so is all of it."""


@dataclass(frozen=True)
class Part:
    """A folder that holds some shards of a run.

    Attributes:
        files: the folder.
        config: what decides the run's images, and the shard size.
        digests: of the raw arrays of every file of arrays, by its name.
    """

    files: RunFolder
    config: dict[str, Any]
    digests: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, folder: Path) -> Part:
        """Read a part, every byte of it.

        Raises:
            ValueError: it is no folder of a run that makes images, or something in it is damaged.
        """
        files = RunFolder(folder)
        try:
            config = of_before(files.read_config())
        except FileNotFoundError as error:
            raise ValueError(
                f"{folder} has no {files.config.name}, so it is no run; give the folder that ends in seed=<n>-<hash>"
            ) from error
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{files.config} is no configuration of a run ({type(error).__name__}: {error})"
            ) from error
        if "shard" not in config:
            raise ValueError(f"{folder} searches the times of a sampler, and has no shards that could be joined")
        names = sorted(name for name in files.store.present() if not name.startswith(CHOSEN))  # chosen anew of them all
        return cls(files, config, {name: raw_digests(files, name) for name in names})

    @property
    def folder(self) -> Path:
        """Its path."""
        return self.files.path

    @cached_property
    def images(self) -> list[str]:
        """Names of its files of images and of candidates."""
        return [name for name in self.digests if name.count("/") == 1]

    @cached_property
    def device_of(self) -> dict[str, str]:
        """The type of device that each of its shards was made on.

        Raises:
            ValueError: that of one is not on record.
        """
        types = types_of(self.files.store.notes())
        shards = [name for name in self.digests if name.startswith(SHARDS)]
        if unknown := [name for name in shards if first_of(name) not in types]:
            raise ValueError(
                f"{self.files.timing} does not say on what device {unknown[0]} was made, and a run keeps to one; "
                f"delete {self.folder / unknown[0]}, and its own command makes it again"
            )
        return {name: types[first_of(name)] for name in shards}

    @cached_property
    def source(self) -> str:
        """The one source of its images; empty if it has none.

        Raises:
            ValueError: there are several, or that of an image is not on record.
        """
        sources = {self.files.store.source(name): name for name in self.images}
        if "" in sources:
            raise ValueError(
                f"no source is on record of {self.folder / sources['']}, for an earlier version made it; whether it is "
                "of the same source as the others cannot be told"
            )
        if len(sources) > 1:
            raise ValueError(f"images in {self.folder} are of {len(sources)} sources: {', '.join(sorted(sources))}")
        return next(iter(sources), "")


@dataclass(frozen=True)
class Merge:
    """Parts of one run that may be joined.

    Attributes:
        parts: the first takes over what the others have.
    """

    parts: Sequence[Part]

    @classmethod
    def of(cls, folders: Sequence[Path]) -> Merge:
        """Read parts and see that they may be joined; write nothing.

        Raises:
            ValueError: they may not; the message names the folders, the files and what differs.
        """
        for k, folder in enumerate(folders):
            if any(os.path.realpath(folder) == os.path.realpath(other) for other in folders[:k]):
                raise ValueError(f"{folder} is given twice; give different folders")
        merge = cls([Part.of(folder) for folder in folders])
        for part in merge.parts[1:]:
            _check_same_run(merge.parts[0], part)
        _check_one_source(merge.parts)
        _check_one_device(merge.parts)
        _check_overlaps(merge.parts)
        return merge

    @property
    def target(self) -> Part:
        """The part that the others are joined to."""
        return self.parts[0]

    def run(self) -> int:
        """Add to the first folder what only others have; return how many shards that were."""
        present, count = set(self.target.digests), 0
        for part in self.parts[1:]:
            new = sorted(part.digests.keys() - present, key=_order)
            _add_lists(self.target.files, part.files)
            take_over(self.target.folder, part.folder)
            _add_notes(self.target.files, part.files, {first_of(name) for name in new if name.startswith(SHARDS)})
            for name in new:
                self.target.files.store.take_over(name, part.files.store)
            present |= part.digests.keys()
            count += sum(name.startswith(SHARDS) for name in new)
        self.target.files.store.tidy()
        return count

    @property
    def images(self) -> int:
        """The number of images, from the first on without a gap, that the shards of all parts hold."""
        firsts = {first_of(name) for part in self.parts for name in part.images if name.startswith(SHARDS)}
        size, whole = self.target.config["shard"], 0
        while whole in firsts:
            whole += size
        return whole

    @property
    def command(self) -> str:
        """The run's own command, by the record of a part that has one; else empty."""
        for part in self.parts:
            for read in (part.files.read_share, part.files.read_summary):
                with suppress(FileNotFoundError, ValueError, KeyError):
                    return str(read()["command"])
        return ""


def _order(name: str) -> tuple[int, int, str]:
    kind = next(k for k, folder in enumerate(ORDER) if name.startswith(folder))
    return first_of(name), kind, name


def _check_same_run(target: Part, part: Part) -> None:
    if keys := differences(target.config, part.config):
        raise ValueError(
            f"{part.folder} is another run than {target.folder}: their {target.files.config.name} differ in "
            f"{', '.join(keys)}; only parts of one run are joined"
        )


def _check_one_source(parts: Sequence[Part]) -> None:
    having = [part for part in parts if part.source]
    other = next((part for part in having if part.source != having[0].source), None)
    if other is None:
        return
    lists = [listed(part.files, part.source) for part in (having[0], other)]
    modules = lists[0].differences(lists[1]) if lists[0] and lists[1] else []
    more = f" and {len(modules) - MOST_NAMED} more" if len(modules) > MOST_NAMED else ""
    raise ValueError(
        f"images in {other.folder} were made by source {other.source}, those in {having[0].folder} by "
        f"{having[0].source}"
        + (f"; they differ in {', '.join(modules[:MOST_NAMED])}{more}" if modules else "")
        + "; images of two sources are not joined: make one part again by the other's source"
    )


def _check_one_device(parts: Sequence[Part]) -> None:
    folders: dict[str, Path] = {}
    for part in parts:
        folders.update({kind: part.folder for kind in part.device_of.values() if kind not in folders})
    if len(folders) > 1:
        listing = "; ".join(f"{kind}: {folder}" for kind, folder in sorted(folders.items()))
        raise ValueError(
            f"the parts were made on {len(folders)} types of device, and their images differ in the last bits: "
            f"{listing}; make all parts on one type"
        )


def _check_overlaps(parts: Sequence[Part]) -> None:
    """See that what several parts have is the same, array by array."""
    holders: dict[str, Part] = {}
    for part in parts:
        for name, digests in part.digests.items():
            holder = holders.setdefault(name, part)
            theirs = holder.digests[name]
            if theirs != digests:
                keys = sorted(key for key in theirs.keys() | digests.keys() if theirs.get(key) != digests.get(key))
                raise ValueError(
                    f"{name} is not the same in {holder.folder} and {part.folder}: {', '.join(keys)} differ. If one "
                    "holds fewer images, move that file away; else one of them was not made by what is on record"
                )


def _add_lists(target: RunFolder, part: RunFolder) -> None:
    """Add the lists of sources that only the part has; a damaged one stays behind."""
    for path in part.sources:
        if listed(part, path.stem) is not None and listed(target, path.stem) is None:
            name = target.source(path.stem).relative_to(target.path).as_posix()
            target.store.put(name, read_file(path) or b"", known=())


def _add_notes(target: RunFolder, part: RunFolder, firsts: set[int]) -> None:
    """Add the lines of timing of shards that are about to be joined, unless they are there."""
    for note in _notes_of(part, firsts):
        if note not in target.store.notes():
            target.store.note(note)


def _notes_of(part: RunFolder, firsts: set[int]) -> Iterator[dict[str, Any]]:
    return (note for note in part.store.notes() if note.get("first") in firsts)
