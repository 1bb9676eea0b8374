"""A run whose images an oracle chooses, as a set, once the candidates of its search are all on disk.

The shards hold what the search came to, and `pool/` its candidates; what is measured are the images in `chosen/`. They
lie in a folder with a hash of all that decides them, so that a choice is read if it is there, made again from the
beginning if a part of it is missing, and never replaced by another.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from its.config.identity import hash8
from its.disk.array_names import candidate_features_name, candidates_name, chosen_name, shard_name
from its.disk.delivered import CHOICE
from its.disk.store import Arrays, Store
from its.run.chosen import PooledShard, with_choice
from its.run.experiment import Experiment
from its.run.held_out import asked_for
from its.run.measure import Curve
from its.run.set_choice import SetChoice, check_reference
from its.run.stock import Stock

log = logging.getLogger(__name__)

CANDIDATES = "oracle_candidates"
"""Column of a curve: how many candidates of an image, on average, the judge has looked at so that an oracle could
choose. That is its cost, which is in no other column."""


@dataclass
class OracleExperiment(Experiment):
    """A search on a set of problems, of whose candidates an oracle chooses.

    Attributes:
        oracle: the meaning of its curve, in a sentence.
    """

    oracle: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_reference(self.label["verifier"], self.instruments)

    def _announce(self) -> None:
        super()._announce()
        log.info("%s; every candidate is stored, as by keep_candidates=true", self.oracle)

    def delivered(self, stock: Stock, store: Store | None = None) -> Stock:
        """Return the images that the oracle has chosen among the candidates of these shards.

        Args:
            store: where the choice is kept, and read if it is there; None to make it again and keep nothing.
        """
        ranges = [indices for indices, _ in stock.shards]
        choice = self._choice(ranges)
        names = {indices: chosen_name(choice, indices.start) for indices in ranges}
        present = {indices: store.read_intact(name) for indices, name in names.items()} if store is not None else {}
        picks = {indices: arrays["row"] for indices, arrays in present.items() if arrays is not None}
        if len(picks) < len(ranges):
            picks = self._set_choice(stock).picks(map(self._pooled, ranges))

        # Put the images together.
        chosen = Stock(stock.folder)
        for indices in ranges:
            part = self._pooled(indices)
            conditions = [self.condition(index) for index in indices]
            arrays, features = with_choice(part, picks[indices], part.candidates["reward"], conditions)
            arrays = {**arrays, "row": picks[indices], "candidates": part.counts(self.caps)}
            if store is not None:
                source = self.files.store.source(shard_name(indices.start))
                store.write(names[indices], arrays, source=source)
            chosen.take(indices, {**arrays, **self._held_out(arrays)}, features)
        return chosen

    def _held_out(self, arrays: Arrays) -> Arrays:
        """Score a shard's chosen images by the held-out verifiers."""
        conditions = asked_for(arrays, self.condition)
        return {each.key: each.scores(arrays["images"], conditions) for each in self.instruments.held_out}

    def curve_of(self, stock: Stock) -> Curve:
        curve = super().curve_of(stock)
        looked_at = np.concatenate([arrays["candidates"] for _, arrays in stock.shards]).mean(axis=0).tolist()
        rows = [row | {CANDIDATES: count} for row, count in zip(curve.rows, looked_at, strict=True)]
        return replace(curve, rows=rows)

    def summary_of(self, curve: Curve, stock: Stock) -> dict[str, Any]:
        choice = self._choice([indices for indices, _ in stock.shards])
        return {**super().summary_of(curve, stock), "oracle": self.oracle, CHOICE: choice}

    def _choice(self, ranges: list[range]) -> str:
        """Return the hash of all that decides which candidates are chosen."""
        extractor, reference = self.instruments.extractor.name, self.instruments.reference.fingerprint
        digests = {entry["file"]: entry.get("arrays", entry["sha256"]) for entry in self.files.store.lines()}
        names = [
            name
            for indices in ranges
            for name in (candidates_name(indices.start), candidate_features_name(extractor, indices.start))
        ]
        candidates = [digests.get(name) for name in names]
        return hash8([self.engine.seed, self.images, [str(cap) for cap in self.caps], extractor, reference, candidates])

    def _set_choice(self, stock: Stock) -> SetChoice:
        return SetChoice(
            self.instruments.reference.load().moments,
            self.caps,
            self.currency,
            self.label["search"],
            self.engine.seed,
            str(self.engine.model.device),
            stock.folder,
        )

    def _pooled(self, indices: range) -> PooledShard:
        """Read the candidates of a shard, which are there by now."""
        stored, shard = (self.files.store.read(name(indices.start)) for name in (candidates_name, shard_name))
        if stored is None or shard is None:
            path = self.folder / candidates_name(indices.start)
            raise FileNotFoundError(f"{path} was there a moment ago and is gone; run the command again")
        name = candidate_features_name(self.instruments.extractor.name, indices.start)
        features = self.instruments.stored_features(self.files.store, name, len(stored["images"]))
        part = PooledShard(indices, stored, features or {}, shard)
        return part if features else replace(part, features=self.instruments.extractor(part.pixels))
