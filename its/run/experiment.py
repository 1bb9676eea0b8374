"""One run: make what is missing on disk, then measure what is there."""

from __future__ import annotations

import logging
import platform
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from its import __version__
from its.config.folder import claim
from its.disk.run_folder import (
    RunFolder,
    candidate_features_name,
    candidates_name,
    features_name,
    shard_name,
    shard_ranges,
)
from its.disk.store import Arrays
from its.engine import Engine, Result
from its.process.device import device_type, require_one_device_type
from its.process.leave import begins
from its.process.progress import Progress
from its.process.workers import Worker
from its.run import candidates, shards
from its.run.curve_files import write_curve, write_per_image
from its.run.instruments import Instruments
from its.run.measure import Curve, Row, measure, seconds_per_image
from its.run.shards import Shards
from its.search.search import Search
from its.types import Condition, Problem
from its.verifier.verifier import members_of

log = logging.getLogger(__name__)


@dataclass
class Experiment:
    """A search on a set of problems, measured.

    Attributes:
        folder: of this run.
        config: what decides the images, and the shard size: the folder's configuration.
        label: the YAML chosen in each group, the experiment's name and the seed.
        images: number of problems; more of them later add shards.
        shard: images in one file.
        caps: in NFE, ascending.
        instruments: the problems, and what measures their images.
        flops: counts, by ledger column, the FLOPs of one call.
        command: that makes this run again.
        metrics_config_hash: hash of what the configuration says about metrics.
        worker: which share of the shards it makes first.
        verify: whether a curve that is there is measured again, from files that are read to the last byte.
    """

    folder: Path
    config: dict[str, Any]
    label: dict[str, str]
    images: int
    shard: int
    caps: tuple[float, ...]
    engine: Engine
    search: Search
    instruments: Instruments
    flops: Callable[[], dict[str, int]]
    command: str
    metrics_config_hash: str = ""
    worker: Worker = field(default_factory=Worker)
    verify: bool = False
    files: RunFolder = field(init=False)

    def __post_init__(self) -> None:
        self.files = RunFolder(self.folder)

    @property
    def keeps_candidates(self) -> bool:
        """True if every candidate is stored."""
        return self.engine.keep_candidates

    @cached_property
    def _flops(self) -> dict[str, int]:
        return self.flops()

    def condition(self, index: int) -> Condition:
        """Return what problem `index` asks for."""
        return self.instruments.data.condition(index)

    def run(self) -> list[Row]:
        """Finish the run; return its curve, one row per cap."""
        self.claim()
        begins(self.folder)
        ranges = shard_ranges(self.images, self.shard)

        # Make the shards that are missing.
        missing = [indices for indices in ranges if not self._present(indices)]
        if missing:
            self.instruments.reference.prepare()
            self._generate(missing)
        elif not self.verify and (rows := self._finished()) is not None:
            log.info("nothing to do: %d images and their curve are there", self.images)
            return rows

        # Measure all of them; workers share the features.
        loaded = [(indices, self._load(shard_name(indices.start))) for indices in ranges]
        shards.refuse_gaps(loaded)
        require_one_device_type(self.folder, self.files.store.notes())
        features = {indices: self._shard_features(indices, arrays) for indices, arrays in self.worker.order(loaded)}
        curve = self._measure(loaded, [features[indices] for indices in ranges])
        for indices in ranges if self.keeps_candidates else ():
            self._candidate_features(indices)

        # Write what people look at; the summary comes last.
        self.files.store.tidy()
        self._write_results(curve, loaded)
        return curve.rows

    def claim(self) -> None:
        """Write the folder's configuration, or see that the folder belongs to this very one.

        Raises:
            ValueError: it says something else.
        """
        claim(self.folder, self.config)

    def _finished(self) -> list[Row] | None:
        fingerprint = self.instruments.fingerprint
        return self.files.read_curve(
            images=self.images, candidates=self.keeps_candidates, metrics_fingerprint=fingerprint
        )

    def _measure(self, loaded: Shards, features: Sequence[Arrays]) -> Curve:
        return measure(
            self.caps,
            loaded,
            features,
            self.instruments.metrics,
            self.instruments.reference.load(),
            flops=self._flops,
            members=members_of(self.engine.verifiers["select"]),
            seconds=seconds_per_image(loaded, self.files.store.notes(), anytime=self.search.anytime),
        )

    def _write_results(self, curve: Curve, loaded: Shards) -> None:
        from its.report.figures import curve_figure

        write_per_image(self.files, curve)
        write_curve(self.files, curve, loaded, curve_figure(curve.rows, self.label, self.command))
        self.files.write_summary(
            {
                **self.label,
                "command": self.command,
                "images": self.images,
                "measured": self.instruments.fingerprint,
                "asked": self.metrics_config_hash,
                "pool": self.keeps_candidates,
                "caps": [row["nfe_cap"] for row in curve.rows],
                "nan_rewards": int(sum(arrays["nan_rewards"].sum() for _, arrays in loaded)),
                "flops": self._flops,
                "curve": curve.rows,
            }
        )

    def _present(self, indices: range) -> bool:
        """Return whether a shard is whole, and its candidates are if they are to be stored."""
        names = [shard_name(indices.start), *([candidates_name(indices.start)] if self.keeps_candidates else [])]
        files = [self.files.store.read_intact(name) for name in names]
        return all(arrays is not None and shards.covers(arrays, indices) for arrays in files)

    def _load(self, name: str) -> Arrays:
        """Return the arrays of a file that must be there."""
        arrays = self.files.store.read(name)
        if arrays is None:
            raise FileNotFoundError(f"{self.folder / name} was there a moment ago and is gone; run the command again")
        return arrays

    def _generate(self, missing: Sequence[range]) -> None:
        """Stream the missing shards' problems through the engine; write each shard once it is whole."""
        # Begin, on the type of device that earlier shards were made on.
        here = device_type(self.engine.model.device)
        notes = self.files.store.notes
        require_one_device_type(self.folder, notes(), here)
        shard_of = {index: indices for indices in missing for index in indices}

        # Take results as they come, and write a shard when its last one is there.
        open_shards: dict[range, list[Result]] = {}
        progress = Progress(total=len(shard_of))
        started, rows_before = time.perf_counter(), self.engine.rows_evaluated
        for result in self.engine.run(self.search, self.caps, self._problems(missing)):
            indices = shard_of[result.problem.index]
            results = open_shards.setdefault(indices, [])
            results.append(result)
            progress.update(nfe=self.engine.rows_evaluated)
            if len(results) == len(indices):
                require_one_device_type(self.folder, notes(), here)
                now, rows = time.perf_counter(), self.engine.rows_evaluated
                self.files.store.note({**self._provenance(indices, now - started), "nfe": rows - rows_before})
                started, rows_before = now, rows
                self._write(indices, open_shards.pop(indices))
        progress.close()

    def _problems(self, missing: Sequence[range]) -> Iterator[Problem]:
        """Yield the problems of this worker's shards, then of those that others have left by then."""
        for indices in self.worker.order(missing):
            if not self._present(indices):
                yield from (Problem(index, self.condition(index)) for index in indices)

    def _write(self, indices: range, results: Sequence[Result]) -> None:
        """Write the candidates, then the shard, each unless it is there; drop the features of what is replaced."""
        files = [(shard_name(indices.start), shards.pack(results))]
        if self.keeps_candidates:
            files.insert(0, (candidates_name(indices.start), candidates.pack(results)))
        for name, arrays in files:
            if not _same(self.files.store.read_intact(name), arrays):
                for stale in self.files.features_of(name):
                    stale.unlink(missing_ok=True)
                self.files.store.write(name, arrays)

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

    def _shard_features(self, indices: range, arrays: Arrays) -> Arrays:
        name = features_name(self.instruments.extractor.name, indices.start)
        return self.instruments.features(self.files.store, name, arrays["images"])

    def _candidate_features(self, indices: range) -> Arrays:
        name = candidate_features_name(self.instruments.extractor.name, indices.start)
        pixels = candidates.pixels(self._load(candidates_name(indices.start)))
        return self.instruments.features(self.files.store, name, pixels)


def _same(present: Arrays | None, made: Arrays) -> bool:
    """Return whether two files hold the same bits."""
    return (
        present is not None
        and present.keys() == made.keys()
        and all(
            present[key].dtype == made[key].dtype
            and present[key].shape == made[key].shape
            and present[key].tobytes() == made[key].tobytes()
            for key in made
        )
    )
