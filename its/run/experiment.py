"""One run: make what is missing on disk, then measure what is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from its.budget import Currency, cap_of
from its.config.folder import claim
from its.config.provenance import Provenance
from its.config.sources import Sources
from its.disk.array_names import file_names, shard_name, shard_ranges
from its.disk.columns import ORACLE
from its.disk.kept import least
from its.disk.run_folder import EDITED, RunFolder
from its.disk.store import Store
from its.engine import Engine
from its.process.device import require_one_device_type
from its.process.leave import begins
from its.process.workers import Worker
from its.report.protocol import sentence
from its.run import shards
from its.run.curve_files import write_curve, write_per_image, write_problems
from its.run.instruments import Instruments
from its.run.intake import Intake
from its.run.kept_images import kept_by
from its.run.measure import Curve, Row, measure, seconds_per_image, tell_strange
from its.run.preflight import check_fit
from its.run.shard_maker import ShardMaker
from its.run.stock import Stock
from its.search.search import Search
from its.types import Condition
from its.verifier.answers import bill
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
        caps: ascending.
        instruments: the problems, and what measures their images.
        flops: counts, by ledger column, the FLOPs of one call.
        command: that makes this run again.
        sources: what makes the images and what measures them.
        metrics_config_hash: hash of what the configuration says about metrics.
        currency: of the caps.
        allow_edited: whether images of another source may stay; the run is marked.
        worker: which share of the shards it makes first.
        share: which of the shards it makes at all; if not all, nothing is measured.
        storage: which images are stored, as `store.images` says.
        verify: whether a curve that is there is measured again, from files that are read to the last byte.
        remote: whether a verifier asks somebody over the network.
        remarks: entries of its summary that reports show beside its numbers.
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
    sources: Sources
    metrics_config_hash: str = ""
    currency: Currency = "nfe"
    allow_edited: bool = False
    worker: Worker = field(default_factory=Worker)
    share: Worker = field(default_factory=Worker)
    storage: str = "all"
    verify: bool = False
    remote: bool = False
    remarks: Mapping[str, Any] = field(default_factory=dict)
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

    def run(self, *, retry: bool = True) -> list[Row]:
        """Finish the run; return its curve, one row per cap.

        Args:
            retry: make images again that failed before; not if this command's workers have just done so.

        Raises:
            ValueError: images failed, or the verifier never gave a finite reward.
        """
        self.claim()
        begins(self.folder)
        ranges = self.share.share(shard_ranges(self.images, self.shard))
        intake = Intake(self.files, self.instruments, self.storage, self.keeps_candidates, Stock(self.folder))
        maker = ShardMaker(
            intake,
            self.engine,
            self.search,
            self.caps,
            self.currency,
            self.condition,
            self.sources.images.name,
            self.worker,
            same=not self.allow_edited,
        )

        # Take the shards that are there; make those that are missing, and those that a repeated command makes again.
        rows = None if self.verify else self._finished()
        absent = {indices for indices in self.worker.order(ranges) if not intake.take(indices)}
        missing = [indices for indices in ranges if indices in absent]
        if rows is not None and not missing:
            log.info("nothing to do: %d images and their curve are there", self.images)
            return rows
        self._announce()
        again = maker.unsound(ranges) if retry else []
        if missing or again:
            self.engine.model.prepare(self._conditions)
            check_fit(self.engine, self.instruments, self._conditions, self.search.takes_gradients)
            maker.make(sum(map(len, ranges)), missing, again)

        # Take those that other workers have made.
        for indices in ranges:
            if not intake.take(indices):
                raise FileNotFoundError(
                    f"{self.folder / shard_name(indices.start)} was there a moment ago and is gone or damaged; "
                    "run the command again"
                )
        return self._measured(intake.stock) if self.share.world == 1 else self._shared(intake.stock)

    def _shared(self, stock: Stock) -> list[Row]:
        """See that a share is without gaps, say what is left to do, and leave on record whose share it is."""
        shards.refuse_gaps(stock.shards)
        self.files.write_share(self.command, self.images)
        log.info(
            "share %d/%d is there, %d shards: join all by scripts/merge.py, and measure them by: %s",
            self.share.rank + 1,
            self.share.world,
            len(stock.shards),
            self.command,
        )
        return []

    def _measured(self, stock: Stock) -> list[Row]:
        """Measure shards that are all there, and write what people look at; return the curve."""
        # Check the shards.
        loaded = stock.shards
        shards.refuse_gaps(loaded)
        select = self.engine.verifiers["select"]
        shards.refuse_blind(loaded, self.label["verifier"], select)
        shards.refuse_other_conditions(loaded, self.condition)
        require_one_device_type(self.folder, self.files.store.notes())

        # Measure them; the summary comes last.
        delivered = self.delivered(stock, self.files.store)
        curve = self._marked(self.curve_of(delivered))
        self.files.store.tidy()
        self._write_results(curve, delivered)
        tell_strange(curve.rows[-1], self.engine.verifiers)
        if self.remote:
            log.info("judges elsewhere were asked %s", bill(self.folder))
        return curve.rows

    @cached_property
    def _conditions(self) -> list[Condition]:
        return [self.condition(index) for index in range(self.images)]

    def _announce(self) -> None:
        """Say what the images are compared with, and which metrics too few images leave out."""
        log.info("reference: %s", self.instruments.reference.account)
        for key, reason in self.instruments.left_out(self._conditions).items():
            log.warning("metric.%s %s; the curve is made without it", key, reason)

    def claim(self) -> None:
        """Write the folder's configuration, or see that the folder belongs to this very one and to this source.

        Raises:
            ValueError: it says something else, or holds images of another source.
        """
        claim(self.folder, self.config)
        if not self.allow_edited:
            self._provenance.check()
        self._provenance.keep()

    @property
    def _provenance(self) -> Provenance:
        firsts = [indices.start for indices in shard_ranges(self.images, self.shard)]
        names = [name for first in firsts for name in file_names(first, with_candidates=self.keeps_candidates)]
        return Provenance(self.files, names, lambda: self.sources)

    def _finished(self) -> list[Row] | None:
        fingerprint = self.instruments.fingerprint
        curve = self.files.read_curve(
            images=self.images, candidates=self.keeps_candidates, storage=self.storage, metrics_fingerprint=fingerprint
        )
        return curve if curve and self._provenance.agrees(self.files.read_summary().get("sources")) else None

    def delivered(self, stock: Stock, store: Store | None = None) -> Stock:
        """Return the images that the run delivers of those in its shards: all of them, unless an oracle chooses.

        Args:
            store: where a choice is kept, and read if it is there; None to make it again and keep nothing.
        """
        return stock

    def curve_of(self, stock: Stock) -> Curve:
        """Measure delivered shards without gaps; write nothing."""
        return measure(
            self.caps,
            stock,
            self.instruments.measurable(self._conditions),
            self.instruments.reference.load(),
            flops=self._flops,
            members=members_of(self.engine.verifiers["select"]),
            seconds=seconds_per_image(stock.shards, self.files.store.notes(), anytime=self.search.anytime),
            currency=self.currency,
            oracle=ORACLE in self.label["verifier"],
            remote=self.remote,
        )

    def _marked(self, curve: Curve) -> Curve:
        """Say in every row how many other sources than this one made images."""
        mark: Row = {EDITED: len(others)} if (others := self._provenance.others) else {}
        return replace(curve, rows=[row | mark for row in curve.rows])

    def _write_results(self, curve: Curve, stock: Stock) -> None:
        from its.report.figures import curve_figure

        write_per_image(self.files, curve)
        write_problems(self.files, self._conditions, self.instruments.data)
        note = sentence(self.instruments.protocol(self._conditions))
        write_curve(self.files, curve, stock, curve_figure(curve.rows, self.label, self.command, note))
        self.files.write_summary(self.summary_of(curve, stock))

    def summary_of(self, curve: Curve, stock: Stock) -> dict[str, Any]:
        """Return what the run's summary says, but for the sha256 of its small files."""
        return {
            **self.label,
            "command": self.command,
            "images": self.images,
            "measured": self.instruments.fingerprint,
            "sources": self._provenance.entry(),
            "asked": self.metrics_config_hash,
            "pool": self.keeps_candidates,
            "caps": [cap_of(row).value for row in curve.rows],
            "left_out": self.instruments.left_out(self._conditions),
            "protocol": self.instruments.protocol(self._conditions),
            "kept": least(*(kept_by(arrays) for _, arrays in stock.shards)),
            "nan_rewards": int(sum(arrays["nan_rewards"].sum() for _, arrays in stock.shards)),
            "flops": self._flops,
            **self.remarks,
            "curve": curve.rows,
        }
