"""The shards of a run: which are there and sound, and how the others are made."""

from __future__ import annotations

import logging
import platform
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from its import __version__
from its.budget import Currency
from its.disk.array_file import digests_of
from its.disk.array_names import candidates_name, shard_name
from its.disk.kept import most
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays
from its.engine import Engine, Result
from its.particles.batches import BATCHES
from its.process.device import device_type, require_one_device_type
from its.process.progress import Progress
from its.process.workers import Worker
from its.run import candidates, kept_images, shards
from its.run.intake import Intake
from its.search.search import Search
from its.types import Condition, Problem
from its.verifier.verifier import members_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardMaker:
    """Makes the shards of a run that are missing, each as soon as its images are there.

    Attributes:
        intake: takes each into stock.
        caps: ascending. currency: that they are in.
        condition: returns what a problem asks for, by its index.
        source: name of what makes the images here.
        worker: which share of the shards it makes first.
        same: whether images that are not stored must come out as they were when they are made again.
    """

    intake: Intake
    engine: Engine
    search: Search
    caps: tuple[float, ...]
    currency: Currency
    condition: Callable[[int], Condition]
    source: str
    worker: Worker
    same: bool = True

    @property
    def files(self) -> RunFolder:
        """The run's folder."""
        return self.intake.files

    def unsound(self, ranges: Sequence[range]) -> list[range]:
        """Return the shards in stock that hold failed images, of this worker's share; all, if none has a finite reward.

        Args:
            ranges: of all shards, by which workers share; what is unsound another worker may just be mending.
        """
        present = self.intake.stock.shards
        bad = [indices for indices, arrays in present if shards.failed(arrays, indices).any()]
        if present and shards.never_finite(present, members_of(self.engine.verifiers["select"])):
            bad = [indices for indices, _ in present]
        if bad:
            log.warning("%d shards hold images that failed, and are made again", len(bad))
        return [indices for indices in self.worker.share(ranges) if indices in bad]

    def make(self, images: int, missing: Sequence[range], again: Sequence[range]) -> None:
        """Stream the problems of shards through the engine; write each shard once it is whole.

        Args:
            images: of the whole run.
            missing: shards that are not there, which workers share.
            again: of this worker alone, which are there and are made anew.
        """
        # Begin, on the type of device that earlier shards were made on.
        here = device_type(self.engine.model.device)
        notes = self.files.store.notes
        require_one_device_type(self.files.path, notes(), here)
        shard_of = {index: indices for indices in (*missing, *again) for index in indices}

        # Take results as they come, and write a shard when its last one is there.
        open_shards: dict[range, list[Result]] = {}
        progress = Progress(images, len(shard_of))
        started, rows_before = time.perf_counter(), self.engine.rows_evaluated
        for result in self.engine.run(self.search, self.caps, self._problems(missing, again), self.currency):
            indices = shard_of[result.problem.index]
            open_shards.setdefault(indices, []).append(result)
            progress.update(nfe=self.engine.rows_evaluated)
            if len(open_shards[indices]) == len(indices):
                require_one_device_type(self.files.path, notes(), here)
                now, rows = time.perf_counter(), self.engine.rows_evaluated
                self.files.store.note({**self._note(indices, now - started), "nfe": rows - rows_before})
                self._write(indices, *self._packed(open_shards.pop(indices)), anew=indices in again)
                started, rows_before = time.perf_counter(), rows
        progress.close()

    def _problems(self, missing: Sequence[range], again: Sequence[range]) -> Iterator[Problem]:
        """Yield the problems of this worker's shards, then of those that others have left by then."""
        for indices in (*again, *self.worker.order(missing)):
            if indices in again or not self.intake.take(indices):
                yield from (Problem(index, self.condition(index)) for index in indices)

    def _packed(self, results: list[Result]) -> tuple[Arrays, Arrays | None]:
        """Return a shard's arrays and, if they are to be stored, its candidates'."""
        return shards.pack(results), candidates.pack(results) if self.intake.with_candidates else None

    def _write(self, indices: range, whole: Arrays, pool: Arrays | None, *, anew: bool) -> None:
        """Write the candidates and the shard, each unless it is there, and extract features; take it into stock.

        Args:
            whole: with all images.
            pool: the candidates, if they are to be stored.
            anew: whether what is there is unsound, so that other images may take its place.
        """
        # Store the images that are to be kept, and those that were.
        name, storage = shard_name(indices.start), self.intake.storage
        present = self.files.store.read_intact(name)
        if present is not None:
            storage = most(storage, kept_images.kept_by(present))
            if self.same and not anew:
                kept_images.refuse_other_images(present, whole, name)
        files = {name: kept_images.stored(whole, storage)}
        if pool is not None:
            files = {candidates_name(indices.start): pool, **files}

        # Drop the features of what is replaced.
        fresh = {name: arrays for name, arrays in files.items() if not self._is_there(name, arrays)}
        for stale in (path for name in fresh for path in self.files.features_of(name)):
            stale.unlink(missing_ok=True)

        # Images that are not kept are measured before their shard is there, so that none is without features.
        if storage == "all":
            self._put(fresh)
        self.intake.accept(indices, files[name], whole["images"], pool)
        if storage != "all":
            self._put(fresh)
        self.intake.remember(indices)

    def _is_there(self, name: str, arrays: Arrays) -> bool:
        """Return whether an intact file holds these very arrays."""
        present = self.files.store.read_intact(name)
        return present is not None and digests_of(present) == digests_of(arrays)

    def _put(self, files: Mapping[str, Arrays]) -> None:
        for name, arrays in files.items():
            self.files.store.write(name, arrays, source=self.source)

    def _note(self, indices: range, seconds: float) -> dict[str, Any]:
        import torch

        return {
            "first": indices.start,
            "images": len(indices),
            "seconds": round(seconds, 3),
            **{key: getattr(self.engine, key) for key in BATCHES},
            "host": socket.gethostname(),
            "its": __version__,
            "device": str(self.engine.model.device),
            "type": device_type(self.engine.model.device),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "threads": torch.get_num_threads(),
        }
