"""Intake: shards into stock, each file read once or not at all, with the features that are missing extracted."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from its.disk.array_names import candidate_features_name, features_name, file_names, shard_name
from its.disk.kept import lacks_images, serves
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays
from its.run import candidates, shards
from its.run.instruments import Instruments
from its.run.kept_images import kept_by
from its.run.stock import Stock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Intake:
    """Takes shards of a run into stock.

    Attributes:
        files: the run's folder.
        storage: which images are to be stored, as `store.images` says.
        with_candidates: whether every candidate is to be stored.
        stock: that measuring goes by.
    """

    files: RunFolder
    instruments: Instruments
    storage: str
    with_candidates: bool
    stock: Stock
    _seen: dict[range, list[tuple[int, ...] | None]] = field(default_factory=dict, init=False, repr=False)

    def take(self, indices: range) -> bool:
        """Take a shard from disk; return whether it is there, as it is to be stored.

        What was looked at before is read again only if another process has written it since.
        """
        state = self._state(indices)
        if self._seen.get(indices) != state:
            if state[0] is None or not self._read(indices):
                self.stock.drop(indices)
            self.remember(indices)
        return indices in self.stock

    def remember(self, indices: range) -> None:
        """Take the files of a shard, as they are now, for what is in stock."""
        self._seen[indices] = self._state(indices)

    def _state(self, indices: range) -> list[tuple[int, ...] | None]:
        """Return by what one tells that a file was written since; None if it is not there."""
        names = [*self._names(indices), features_name(self.instruments.extractor.name, indices.start)]
        names += [each.file(indices.start) for each in self.instruments.held_out]
        return [_stamp(self.files.path / name) for name in names]

    def _names(self, indices: range) -> list[str]:
        return file_names(indices.start, with_candidates=self.with_candidates)

    def _read(self, indices: range) -> bool:
        arrays, *pool = [self.files.store.read_intact(name) for name in self._names(indices)]
        if arrays is None or not all(part is not None and shards.covers(part, indices) for part in (arrays, *pool)):
            return False
        if not serves(kept_by(arrays), self.storage):
            return False
        images = None if lacks_images(arrays) else arrays["images"]
        return self.accept(indices, arrays, images, *pool)

    def accept(self, indices: range, arrays: Arrays, images: np.ndarray | None, pool: Arrays | None = None) -> bool:
        """Take a shard that is in memory; return whether its features are there, or could be extracted.

        Args:
            arrays: as they are stored.
            images: uint8 `[m, H, W, C]`, all different ones; None if not all are stored.
            pool: its candidates, if they are stored.
        """
        first, extractor = indices.start, self.instruments.extractor.name
        if shards.failed(arrays, indices).any():
            self.stock.take(indices, arrays, None)
            return True

        # Its own features.
        store, name = self.files.store, features_name(extractor, first)
        if images is not None:
            features: Arrays | None = self.instruments.features(store, name, images)
        else:
            features = self.instruments.stored_features(store, name, len(arrays["digest"]))
        if features is None:
            self._refuse_other_extractor(shard_name(first))
            log.warning("%s keeps no images, and its features are lost; it is made again", shard_name(first))
            return False

        # Those of its candidates.
        if pool is not None:
            pixels = candidates.pixels(pool)
            name = candidate_features_name(extractor, first)
            self.instruments.features(store, name, pixels)
        # The scores of held-out verifiers.
        scored = self.instruments.scored(store, arrays, images)
        if scored is None:
            log.warning("%s keeps no images, and scores of it are lost; it is made again", shard_name(first))
            return False
        self.stock.take(indices, scored, features)
        return True

    def _refuse_other_extractor(self, name: str) -> None:
        """Refuse to measure by another extractor than the one that measured images which are not stored.

        Raises:
            ValueError: naming both.
        """
        extractors = {path.parent.name for path in self.files.features_of(name)}
        if extractors and self.instruments.extractor.name not in extractors:
            raise ValueError(
                f"{self.files.path / name} keeps no images, only what {', '.join(sorted(extractors))} made of them, so "
                f"{self.instruments.extractor.name} cannot measure them; make them again by store.images=all, which "
                "costs what the run has cost"
            )


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
