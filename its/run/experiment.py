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

from its import __version__
from its.disk.run_folder import features_name, pool_features_name, pool_name, ranges, shard_name
from its.disk.store import Arrays, DamagedFile, Store, write_atomic
from its.disk.summary import read_curve
from its.engine import Engine, Result
from its.metric.extractor import Extractor
from its.metric.metric import Metric
from its.metric.references import Source
from its.process.device import check_one_type, device_type
from its.process.leave import begins
from its.process.progress import Progress
from its.process.workers import Worker
from its.run import pools, shards
from its.run.measure import Row, Shards, measure, write_curve
from its.search.search import Search
from its.types import Condition, Problem

log = logging.getLogger(__name__)


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
        reference: what generated images are measured against.
        flops: by ledger column, of one call.
        command: that makes this run again.
        asked: hash of what its configuration says about measuring.
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
    reference: Source
    extractor: Extractor
    metrics: Sequence[Metric]
    flops: Callable[[], dict[str, int]]
    command: str
    asked: str = ""
    worker: Worker = field(default_factory=Worker)
    _store: Store = field(init=False)

    def __post_init__(self) -> None:
        self._store = Store(self.folder)

    def run(self) -> list[Row]:
        """Finish the run; return its curve, one row per cap."""
        self.claim()
        begins(self.folder)
        all_shards = ranges(self.images, self.shard)
        missing = [indices for indices in all_shards if not self._present(indices)]
        if missing:
            self.reference.prepare()
            self._generate(missing)
        elif (rows := self._finished()) is not None:
            log.info("nothing to do: %d images and their curve are there", self.images)
            return rows
        loaded = [(indices, self.load(shard_name(indices))) for indices in all_shards]
        shards.refuse_gaps(loaded)
        check_one_type(self.folder, self._store.notes())
        made = {
            indices: self.features(features_name(self.extractor.name, indices), arrays["images"])
            for indices, arrays in self.worker.order(loaded)
        }
        rows, per_image = self._measure(loaded, [made[indices] for indices in all_shards])
        for indices in all_shards if self.engine.keep_candidates else ():
            self.pool(indices)
        self._store.settle()
        write_curve(self, rows, per_image, loaded)
        return rows

    def _finished(self) -> list[Row] | None:
        return read_curve(self.folder, images=self.images, measured=self.measured, pool=self.engine.keep_candidates)

    def _measure(self, loaded: Shards, features: Sequence[Arrays]) -> tuple[list[Row], Arrays]:
        return measure(self, loaded, features, self._store.notes())

    def claim(self) -> None:
        """Make `config.yaml`, or see that the folder belongs to this very configuration.

        Raises:
            ValueError: it says something else.
        """
        claim(self.folder, self.config)

    def _present(self, indices: range) -> bool:
        """Whether a shard is whole; one whose pool is wanted is not without that."""
        wanted = [shard_name(indices), *([pool_name(indices)] if self.engine.keep_candidates else [])]
        found = [self._read(name) for name in wanted]
        return all(arrays is not None and shards.covers(arrays, indices) for arrays in found)

    def _read(self, name: str) -> Arrays | None:
        """A file that is there and whole."""
        try:
            return self._store.read(name)
        except DamagedFile as damage:
            log.warning("%s; it is made again", damage)
            return None

    def load(self, name: str) -> Arrays:
        """The arrays of a file that must be there."""
        arrays = self._store.read(name)
        if arrays is None:
            raise FileNotFoundError(f"{self.folder / name} was there a moment ago and is gone; run the command again")
        return arrays

    def _generate(self, missing: Sequence[range]) -> None:
        """Stream the missing shards' problems through the engine; write each shard once it is whole."""
        here = device_type(self.engine.model.device)
        check_one_type(self.folder, self._store.notes(), here)
        shard_of = {index: indices for indices in missing for index in indices}
        open_shards: dict[range, list[Result]] = {}
        progress = Progress(total=len(shard_of))
        started, spent = time.perf_counter(), self.engine.rows_evaluated
        for result in self.engine.run(self.search, self.caps, self._problems(missing)):
            indices = shard_of[result.problem.index]
            results = open_shards.setdefault(indices, [])
            results.append(result)
            progress.update(nfe=self.engine.rows_evaluated)
            if len(results) == len(indices):
                check_one_type(self.folder, self._store.notes(), here)
                self._write(indices, open_shards.pop(indices))
                now = time.perf_counter()
                rows = self.engine.rows_evaluated
                self._store.note({**self._provenance(indices, now - started), "nfe": rows - spent})
                started, spent = now, rows
        progress.close()

    def _problems(self, missing: Sequence[range]) -> Iterator[Problem]:
        """This worker's shards, then those that others have left by the time it gets there."""
        for indices in self.worker.order(missing):
            if not self._present(indices):
                yield from (Problem(index, self.condition(index)) for index in indices)

    def _write(self, indices: range, results: Sequence[Result]) -> None:
        """The pool, then the shard, each unless it is there; features of what it replaces are dropped."""
        made = [("features", shard_name(indices), shards.pack(results))]
        if self.engine.keep_candidates:
            made.insert(0, ("pool", pool_name(indices), pools.pack(results)))
        for folder, name, arrays in made:
            if not _same(self._read(name), arrays):
                for stale in (self.folder / folder).glob(f"*/{Path(name).name}"):
                    stale.unlink(missing_ok=True)
                self._store.write(name, arrays)

    def _provenance(self, indices: range, seconds: float) -> dict[str, Any]:
        import torch

        return {
            "first": indices.start,
            "images": len(indices),
            "seconds": round(seconds, 3),
            "batch": self.engine.batch,
            "host": socket.gethostname(),
            "its": __version__,
            "device": str(self.engine.model.device),
            "type": device_type(self.engine.model.device),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
        }

    def pool(self, indices: range) -> tuple[Arrays, Arrays]:
        """A shard's pool, and the features of its candidates."""
        pool = self.load(pool_name(indices))
        return pool, self.features(pool_features_name(self.extractor.name, indices), pools.pixels(pool))

    def features(self, name: str, images: np.ndarray) -> Arrays:
        """Features of uint8 images, from the file `name` or computed now."""
        found = self._read(name)
        if found is not None and len(found["features"]) == len(images):
            return found
        made = self.extractor(images)
        self._store.write(name, made)
        return made


def claim(folder: Path, config: dict[str, Any]) -> None:
    """See `Experiment.claim`."""
    path = folder / "config.yaml"
    text = yaml.safe_dump(config, sort_keys=True)
    if not path.exists():
        write_atomic(path, text.encode())
        return
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    if found != yaml.safe_load(text):
        keys = sorted(
            key
            for key in {*config, *(found if isinstance(found, dict) else ())}
            if not isinstance(found, dict) or found.get(key) != config.get(key)
        )
        raise ValueError(
            f"{path} says something else than this command about {', '.join(keys)}; it was edited, "
            "or the run was begun with another shard size: restore it, or choose another name or "
            "out_dir"
        )


def _same(found: Arrays | None, made: Arrays) -> bool:
    return (
        found is not None
        and found.keys() == made.keys()
        and all(
            found[key].dtype == made[key].dtype
            and found[key].shape == made[key].shape
            and found[key].tobytes() == made[key].tobytes()
            for key in made
        )
    )
