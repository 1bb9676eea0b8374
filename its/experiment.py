"""One run: make what is missing on disk, then measure what is there."""

from __future__ import annotations

import logging
import platform
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from its import __version__, shards
from its.curve import Row, measure, read_curve, write_curve
from its.engine import Engine, Result
from its.layout import features_name, ranges, shard_name
from its.metric.extractor import Extractor
from its.metric.features import Features
from its.progress import Progress
from its.store import Arrays, DamagedFile, Store, write_atomic
from its.types import Condition, Problem, Search
from its.workers import Worker

log = logging.getLogger(__name__)

Metric = Callable[[Features, Features], dict[str, float]]


@dataclass
class Experiment:
    """A search on a set of problems, measured.

    Attributes:
        folder: of this run.
        config: what decides the images, and the shard size: the folder's `config.yaml`.
        measured: fingerprint of what decides the metrics.
        label: the YAML chosen in each group, the experiment's name and the seed.
        images: how many; more of them later add shards.
        shard: images in one file.
        caps: in NFE, ascending.
        reference: uint8 images `[n, H, W, C]` and class ids `[n]` to measure against.
        flops: by ledger column, of one call.
        command: that makes this run again.
        worker: which share of the shards it makes first.
    """

    folder: Path
    config: dict[str, Any]
    measured: str
    label: dict[str, str]
    images: int
    shard: int
    caps: tuple[float, ...]
    engine: Engine
    search: Search
    condition: Callable[[int], Condition]
    reference: Callable[[], tuple[np.ndarray, np.ndarray]]
    extractor: Extractor
    metrics: Sequence[Metric]
    flops: Callable[[], dict[str, int]]
    command: str
    worker: Worker = field(default_factory=Worker)
    _store: Store = field(init=False)

    def __post_init__(self) -> None:
        self._store = Store(self.folder)

    def run(self) -> list[Row]:
        """Finish the run; return its curve, one row per cap."""
        self.claim()
        all_shards = ranges(self.images, self.shard)
        missing = [indices for indices in all_shards if not self._present(indices)]
        if missing:
            self._generate(missing)
        elif (rows := read_curve(self)) is not None:
            log.info("nothing to do: %d images and their curve are there", self.images)
            return rows
        loaded = [(indices, self._load(shard_name(indices))) for indices in all_shards]
        features = [self._features(indices, arrays) for indices, arrays in loaded]
        rows = measure(self, loaded, features, self._store.notes())
        self._store.settle()
        write_curve(self, rows, loaded)
        return rows

    def claim(self) -> None:
        """Make `config.yaml`, or see that the folder belongs to this very configuration.

        Raises:
            ValueError: it says something else.
        """
        path = self.folder / "config.yaml"
        text = yaml.safe_dump(self.config, sort_keys=True)
        if not path.exists():
            write_atomic(path, text.encode())
            return
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        if found != yaml.safe_load(text):
            keys = sorted(key for key in {*self.config, *(found if isinstance(found, dict) else ())}
                          if not isinstance(found, dict) or found.get(key) != self.config.get(key))
            raise ValueError(f"{path} says something else than this command about {', '.join(keys)}; it was edited, "
                             "or the run was begun with another shard size: restore it, or choose another name or "
                             "out_dir")

    def _present(self, indices: range) -> bool:
        try:
            arrays = self._store.read(shard_name(indices))
        except DamagedFile as damage:
            log.warning("%s; it is made again", damage)
            return False
        return arrays is not None and shards.covers(arrays, indices)

    def _load(self, name: str) -> Arrays:
        arrays = self._store.read(name)
        if arrays is None:
            raise FileNotFoundError(f"{self.folder / name} was there a moment ago and is gone; run the command again")
        return arrays

    def _generate(self, missing: Sequence[range]) -> None:
        """Stream the missing shards' problems through the engine; write each shard once it is whole."""
        shard_of = {index: indices for indices in missing for index in indices}
        open_shards: dict[range, list[Result]] = {}
        progress = Progress(total=len(shard_of))
        started = time.perf_counter()
        for result in self.engine.run(self.search, self.caps, self._problems(missing)):
            indices = shard_of[result.problem.index]
            results = open_shards.setdefault(indices, [])
            results.append(result)
            progress.update(nfe=self.engine.rows_evaluated)
            if len(results) == len(indices):
                self._store.write(shard_name(indices), shards.pack(open_shards.pop(indices)))
                now = time.perf_counter()
                self._store.note(self._provenance(indices, now - started))
                started = now
        progress.close()

    def _problems(self, missing: Sequence[range]) -> Iterator[Problem]:
        """This worker's shards, then those that others have left by the time it gets there."""
        for indices in self.worker.order(missing):
            if not self._present(indices):
                yield from (Problem(index, self.condition(index)) for index in indices)

    def _provenance(self, indices: range, seconds: float) -> dict[str, Any]:
        import torch

        return {"first": indices.start, "images": len(indices), "seconds": round(seconds, 3),
                "batch": self.engine.batch, "host": socket.gethostname(), "its": __version__,
                "device": str(self.engine.model.device),
                "torch": torch.__version__, "python": platform.python_version(), "threads": torch.get_num_threads()}

    def _features(self, indices: range, arrays: Arrays) -> Arrays:
        """Features of every different image of a shard, from disk or computed now."""
        name = features_name(self.extractor.name, indices)
        try:
            found = self._store.read(name)
        except DamagedFile as damage:
            log.warning("%s; it is made again", damage)
            found = None
        if found is not None and len(found["features"]) == len(arrays["images"]):
            return found
        features, logits = self.extractor(arrays["images"])
        made = {"features": features, "logits": logits}
        self._store.write(name, made)
        return made
