"""A stock: what measuring needs of a run's shards, taken from each once; images and features are not held in memory.

Of 50,000 images of 256x256 at four caps that is a few MB: small arrays, and the images of the sample grids. Features
lie in a spool, in memory while they are few and then in a file without a name, from which one cap is read at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from its.disk.kept import SHOWN
from its.disk.store import Arrays
from its.run.kept_images import without_pixels
from its.run.shards import Shards
from its.run.spool import Place, Spool


class Stock:
    """The small arrays, the features and the shown images of shards.

    Args:
        folder: in which a large spool lies; it must exist by then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._spool = Spool(folder)
        self._arrays: dict[range, Arrays] = {}
        self._places: dict[range, Mapping[str, Place]] = {}
        self._shown: dict[range, tuple[np.ndarray, np.ndarray]] = {}

    def take(self, indices: range, arrays: Arrays, features: Arrays | None) -> None:
        """Take a shard, in place of an earlier one of these problems.

        Args:
            features: of its different images; None of a shard with failed images, which is not measured.
        """
        self._arrays[indices] = without_pixels(arrays)
        self._places[indices] = {name: self._spool.put(array) for name, array in (features or {}).items()}
        self._show(indices, arrays)

    def drop(self, indices: range) -> None:
        """Forget a shard, if it is there."""
        for table in (self._arrays, self._places, self._shown):
            table.pop(indices, None)

    def adopt(self, other: Stock) -> None:
        """Hold what another stock holds, in place of its own."""
        self._spool, self._arrays, self._places, self._shown = other._spool, other._arrays, other._places, other._shown

    def __contains__(self, indices: range) -> bool:
        return indices in self._arrays

    @property
    def shards(self) -> Shards:
        """The shards without pixels and noise, in the order of their problems."""
        return sorted(self._arrays.items(), key=lambda shard: shard[0].start)

    def features(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Return the extractor's arrays of images at the rows `[n, 2]` of (shard, row), shards in order.

        See `its.run.shards.Collected`.
        """
        places = [self._places[indices] for indices, _ in self.shards]
        return {name: self._gathered([place[name] for place in places], rows) for name in places[0]}

    def shown(self, cap: int) -> np.ndarray | None:
        """Return the images of the first problems at a cap, uint8 `[n, H, W, C]`; None if not all are stored."""
        parts = [self._shown.get(indices) for indices, _ in self.shards if indices.start < SHOWN]
        return None if None in parts else np.concatenate([images[rows[:, cap]] for images, rows in filter(None, parts)])

    def _gathered(self, places: Sequence[Place], rows: np.ndarray) -> np.ndarray:
        """Read one array shard by shard, and keep the rows that are asked for."""
        whole = np.empty((len(rows), *places[0].shape[1:]), dtype=places[0].dtype)
        for number, place in enumerate(places):
            of_shard = np.flatnonzero(rows[:, 0] == number)
            whole[of_shard] = self._spool.read(place)[rows[of_shard, 1]]
        return whole

    def _show(self, indices: range, arrays: Arrays) -> None:
        """Keep the different images of problems that a sample grid shows, unless they failed or are not stored."""
        self._shown.pop(indices, None)
        pick = arrays["pick"][: max(0, min(SHOWN, indices.stop) - indices.start)]
        images = arrays.get("images", ())
        if pick.size and 0 <= pick.min() <= pick.max() < len(images):
            rows = np.unique(pick)
            self._shown[indices] = images[rows], np.searchsorted(rows, pick)
