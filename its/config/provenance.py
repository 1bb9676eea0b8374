"""The sources on record in a run's folder, held against those that are here: results of two are never mixed unsaid."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from its.config.sources import Sources
from its.disk.run_folder import RunFolder
from its.process.source_files import SourceFiles, listed

log = logging.getLogger(__name__)

UNRECORDED = "unrecorded"
"""In place of a source's name, for files of a version that recorded none."""

MOST_NAMED = 6
"""Modules that an error lists."""


@dataclass(frozen=True)
class Provenance:
    """The sources of a run's files.

    Attributes:
        files: the run's folder.
        names: files of arrays whose source counts, if they are there.
        here: returns the sources that are here; not asked if those on record are here file by file.
    """

    files: RunFolder
    names: Sequence[str]
    here: Callable[[], Sources]

    @cached_property
    def images(self) -> list[str]:
        """Names of the image sources on record; a file without a line is damaged, and made again by the source here."""
        present = (name for name in self.names if (self.files.path / name).exists() and self._has_line(name))
        return sorted({self.files.store.source(name) or UNRECORDED for name in present})

    @cached_property
    def others(self) -> list[str]:
        """Those of them that are not here."""
        return [name for name in self.images if not self._listed_here(name) and name != self.here().images.name]

    @property
    def is_listed(self) -> bool:
        """True if the manifest has a line of each file."""
        return all(map(self._has_line, self.names))

    def check(self) -> None:
        """Refuse to go on with images of another source.

        Raises:
            ValueError: it names both sources, and the files that differ as far as that is on record.
        """
        if not self.others:
            return
        here = self.here().images
        told = "; ".join(self._told(name, here) for name in self.others)
        raise ValueError(
            f"images in {self.files.path} were made by another source than {here.name}, which is here: {told}. Restore "
            "what made them, make all anew under another name= or out_dir=, or say allow_edited=true to go on with "
            "both and have the run marked"
        )

    def entry(self) -> dict[str, Any]:
        """Return what a summary says about sources: of images, of measuring, and image sources that were not here."""
        edited = {"edited": self.others} if self.others else {}
        return {"images": self.images, "measures": self.here().measures.name, **edited}

    def agrees(self, entry: Any) -> bool:
        """Return whether a summary's entry is still true, so that nothing needs to be measured again.

        Where neither the images nor the curve have a source on record, nothing is mixed: so it is said and left.
        """
        if entry is None and self.images in ([], [UNRECORDED]):
            log.warning("%s: an earlier version made this, and no source is on record", self.files.path)
            return True
        if not isinstance(entry, dict) or not isinstance(entry.get("measures"), str):
            return False
        as_recorded = entry.get("images") == self.images and entry.get("edited", []) == self.others
        measures = entry["measures"]
        return as_recorded and (self._listed_here(measures) or measures == self.here().measures.name)

    def keep(self) -> None:
        """Write the files of both sources that are here, each under its name, unless they are there."""
        for source in (self.here().images, self.here().measures):
            if listed(self.files, source.name) is None:
                name = self.files.source(source.name).relative_to(self.files.path).as_posix()
                self.files.store.put(name, source.text.encode(), known=())

    def repair(self) -> None:
        """Write lists again that were damaged, of sources that are here."""
        if any(listed(self.files, path.stem) is None for path in self.files.sources):
            self.keep()

    def _has_line(self, name: str) -> bool:
        return self.files.store.is_listed(name)

    def _listed_here(self, name: str) -> bool:
        source = listed(self.files, name)
        return source is not None and source.is_here

    def _told(self, name: str, here: SourceFiles) -> str:
        if name == UNRECORDED:
            return "of some no source is on record, for an earlier version made them"
        source = listed(self.files, name)
        if source is None:
            return f"{name}, whose files are not on record"
        modules = source.differences(here)
        more = f" and {len(modules) - MOST_NAMED} more" if len(modules) > MOST_NAMED else ""
        return f"{name}, which differs in {', '.join(modules[:MOST_NAMED])}{more}"


def measured_here(files: RunFolder) -> bool:
    """Return whether a finished run was measured by the source that is here, as far as that is on record."""
    entry = files.read_summary().get("sources")
    source = listed(files, str(entry.get("measures"))) if isinstance(entry, dict) else None
    return source is None or source.is_here
