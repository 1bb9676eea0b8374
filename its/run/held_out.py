"""Held-out verifiers: they score the images that a search chose, from the bytes that are measured; no search asks them.

Scores lie beside the features, a file for each shard and verifier, so that one more verifier is one more file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from its.config.identity import hash8, measured_by
from its.config.instantiate import TARGET, instantiate
from its.config.names import recorded
from its.config.shelf import Shelf
from its.config.sources import of_features
from its.disk.array_names import features_name, shard_name
from its.disk.columns import HELD_OUT
from its.disk.store import Arrays, Store
from its.engine.queue import pad
from its.metric.extractor import padded_batches
from its.run.conditions import asks
from its.types import Condition
from its.verifier.verifier import Verifier, require_verifier, rewards_of

log = logging.getLogger(__name__)

SCORES = "scores"
"""Name of the array in a file: float64, one for each different image of the shard."""


@dataclass(frozen=True)
class HeldOut:
    """A held-out verifier.

    Attributes:
        name: of its column.
        folder: of its scores among a run's features; another for other weights or settings.
        source: name of the source that scores.
        rows: images of one batch.
        device: on which it scores.
    """

    name: str
    verifier: Verifier
    folder: str
    source: str
    rows: int
    device: str

    @classmethod
    def of(cls, plain: Mapping[str, Any], packages: Sequence[str], shelf: Shelf | None = None) -> tuple[HeldOut, ...]:
        """Load those that a configuration names.

        Args:
            shelf: see `its.config.instantiate.instantiate`.

        Raises:
            ValueError: one cannot be loaded, or scores no images.
        """
        return tuple(
            cls._of(name, node, instantiate(node, packages, shelf), plain) for name, node in plain["report"].items()
        )

    @classmethod
    def _of(cls, name: str, node: Mapping[str, Any], verifier: Verifier, plain: Mapping[str, Any]) -> HeldOut:
        require_verifier(verifier)
        kind = recorded(node[TARGET]).replace("/", ".").rpartition(".")[2].lower()
        folder = f"{kind}-{hash8(measured_by(node))}"
        rows = plain["verify_batch"] or plain["batch"]
        return cls(name, verifier, folder, of_features(node).name, rows, plain["device"])

    @property
    def key(self) -> str:
        """The name of its scores among a shard's arrays in memory."""
        return f"{HELD_OUT}{self.name}"

    def file(self, first: int) -> str:
        """Return the name of the file with the scores of the shard whose first problem is `first`."""
        return features_name(self.folder, first)

    def scores(self, images: np.ndarray, conditions: Sequence[Condition]) -> np.ndarray:
        """Score uint8 images `[n, H, W, C]` by what each was asked for: float64 `[n]`."""
        import torch

        from its.pixels import from_uint8

        scores = [np.zeros(0)]
        for first, (padded, count) in zip(
            range(0, len(images), self.rows), padded_batches(images, self.rows), strict=True
        ):
            wishes = pad(list(conditions[first : first + count]), self.rows)
            with torch.inference_mode():
                rows = from_uint8(torch.from_numpy(padded)).to(self.device)
                scores.append(rewards_of(self.verifier, rows, wishes)[:count].double().cpu().numpy())
        return np.concatenate(scores)

    def of_shard(
        self, store: Store, arrays: Arrays, images: np.ndarray | None, condition: Callable[[int], Condition]
    ) -> np.ndarray | None:
        """Return the scores of a shard's different images: its file's, or computed and written now.

        Args:
            images: uint8 `[m, H, W, C]`; None if they are not kept.
            condition: of a problem, by its index.

        Returns:
            None if the file is lost and the images are not kept.

        Raises:
            ValueError: the images are not kept, and this verifier has never seen them.
        """
        name, conditions = self.file(int(arrays["index"][0])), asked_for(arrays, condition)
        present = store.read_intact(name)
        if present is not None and store.source(name) == self.source and len(present[SCORES]) == len(conditions):
            return present[SCORES]
        if images is None:
            if store.is_listed(name):
                return None
            raise ValueError(
                f"{store.folder / shard_name(int(arrays['index'][0]))} keeps no images, so verifier@report "
                f"{self.name} cannot score them; make them again by store.images=all, which costs what the run has "
                "cost, or leave it out"
            )
        scores = self.scores(images, conditions)
        if strange := int((~np.isfinite(scores)).sum()):
            log.warning("verifier@report %s gave no finite score to %d of %d images", self.name, strange, len(scores))
        store.write(name, {SCORES: scores}, source=self.source)
        return scores


def asked_for(arrays: Arrays, condition: Callable[[int], Condition]) -> list[Condition]:
    """Return what each different image of a shard was asked for, as far as the shard itself says.

    Args:
        condition: of a problem, by its index.
    """
    conditions: list[Condition] = [None] * (int(arrays["pick"].max(initial=-1)) + 1)
    for asked, picks in zip(asks(arrays, condition), arrays["pick"], strict=True):
        for row in picks[picks >= 0].tolist():
            conditions[row] = asked
    return conditions
