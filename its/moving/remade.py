"""Some images of a run, made again from its configuration and the keys of its noise, and held against those stored.

On the kind of device, with the version of torch and in the batches that a shard was made with, results are the same to
the bit. Elsewhere networks round differently, and what is compared may differ by as much as is said here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from its.budget import LEDGER
from its.disk.array_names import features_name, shard_name
from its.disk.columns import NOTE
from its.disk.files import DamagedFile
from its.disk.store import Arrays
from its.particles.batches import BATCHES
from its.process.device import device_type
from its.rerun.finished_run import FinishedRun
from its.run import shards
from its.run.codes import decode_start
from its.run.experiment import Experiment
from its.types import Problem

LEVELS, REWARD, FEATURE = 2, 1e-3, 1e-3
"""Most that, elsewhere, a pixel may differ by (of 255), a reward (of 1 + its size), and anywhere a feature (of the
largest of its image's)."""

PER_PROBLEM = ("index", "label", "pick", "reward", "start", "ledger", "verdicts", "nan_rewards")
"""Arrays of a shard that have a row for each problem."""


@dataclass(frozen=True)
class Remaking:
    """A run, and the same run as this machine builds it.

    Attributes:
        experiment: of which no file is written.
    """

    run: FinishedRun
    experiment: Experiment

    def draw(self, count: int, seed: int) -> list[int]:
        """Return the indices of so many problems, drawn at random: one of each shard in turn, in random order."""
        random = np.random.default_rng(seed)
        ranges = [self.run.ranges[k] for k in random.permutation(len(self.run.ranges))]
        queues = [random.permutation(np.asarray(indices)).tolist() for indices in ranges]
        turns = range(max(map(len, queues)))
        return [queue[turn] for turn in turns for queue in queues if turn < len(queue)][:count]

    def elsewhere(self, index: int) -> str:
        """Return how this is another machine than the one that made a problem's shard; empty if bits must be equal."""
        import torch

        engine = self.experiment.engine
        note = self._notes.get(index // self.experiment.shard * self.experiment.shard, {})
        batches = {key: getattr(engine, key) for key in BATCHES if key in note or key == BATCHES[0]}
        here = {"type": device_type(engine.model.device), "torch": torch.__version__, **batches}
        return ", ".join(
            f"{key} {note.get(key, 'unknown')} there and {value} here"
            for key, value in here.items()
            if note.get(key) != value
        )

    @property
    def _notes(self) -> dict[int, Mapping[str, Any]]:
        return {note["first"]: note for note in self.run.files.store.notes() if "first" in note}

    def differences(self, indices: Sequence[int]) -> Iterator[str]:
        """Make these problems' images again, at every cap; yield a sentence on each that is not what is stored."""
        experiment = self.experiment
        problems = (Problem(index, experiment.condition(index)) for index in indices)
        for result in experiment.engine.run(experiment.search, experiment.caps, problems, experiment.currency):
            index = result.problem.index
            if result.failure is not None:
                yield f"image {index} fails here: {result.failure}"
                continue
            try:
                stored = self._stored(index)
            except (DamagedFile, FileNotFoundError) as damage:
                yield f"image {index} cannot be compared: {damage}"
                continue
            fresh = shards.pack([result])
            exact = not self.elsewhere(index)
            parts = [*_differing(fresh, stored, exact), *self._differing_features(index, fresh, stored)]
            if parts:
                yield f"image {index} is not what its shard says: {'; '.join(parts)}"

    def unseen(self, indices: Sequence[int]) -> list[int]:
        """Return those of these problems that were made elsewhere, and whose images are not stored."""
        return [index for index in indices if self.elsewhere(index) and not self._has_images(index)]

    def _has_images(self, index: int) -> bool:
        try:
            stored = self._stored(index)
        except (DamagedFile, FileNotFoundError):  # is told where images are compared
            return True
        return bool((stored["pick"][0] < len(stored.get("images", ()))).all())

    def _stored(self, index: int) -> Arrays:
        """Return the arrays of a problem's shard, those that have a row for each problem cut to its own."""
        first = index // self.experiment.shard * self.experiment.shard
        arrays = self.run.shard(range(first, first + 1))
        row, n = index - first, len(arrays["index"])
        if row >= n or arrays["index"][row] != index:
            raise DamagedFile(f"{shard_name(first)} does not hold it")
        rows = {name: arrays[name][row : row + 1] for name in arrays if name in PER_PROBLEM or name.startswith(NOTE)}
        return {**arrays, **rows}

    def _differing_features(self, index: int, made: Arrays, stored: Arrays) -> Iterator[str]:
        """Yield what differs between the features of the images and those that are stored."""
        extractor = self.experiment.instruments.extractor
        first = index // self.experiment.shard * self.experiment.shard
        name = features_name(extractor.name, first)
        features = self.run.files.store.read(name)
        if features is None:
            yield f"there are no features {name}"
            return

        # Extract them of the images that are stored, so that a difference is the features' own.
        picks, images = stored["pick"][0], stored.get("images", ())
        have = bool(len(picks)) and int(picks.max()) < len(images) and int(picks.min()) >= 0
        if not have and self.elsewhere(index):
            return
        rows = images[picks] if have else made["images"][made["pick"][0]]
        for key, array in extractor(rows).items():
            other = features[key][picks] if key in features and picks.max() < len(features[key]) else None
            if other is None or other.shape != array.shape or not _near(array, other, FEATURE):
                yield f"its {key} in {name} are those of another image"


def _near(array: np.ndarray, other: np.ndarray, part: float) -> bool:
    """Return whether no number differs by more than a part of the largest one."""
    return bool(np.isfinite(other).all() and np.abs(array - other).max() <= part * max(1e-6, np.abs(array).max()))


def _differing(made: Arrays, stored: Arrays, exact: bool) -> Iterator[str]:
    """Yield what differs between a problem that was made again and its row in its shard."""
    for key, name in (("label", "its class"), ("verdicts", "its verdicts"), ("nan_rewards", "its NaN rewards")):
        if exact and key in stored and not np.array_equal(made[key], stored[key]):
            yield name
    if made["pick"].shape != stored["pick"].shape:
        yield "its caps"
        return
    for cap in range(made["pick"].shape[1]):
        yield from (f"{what} at cap {cap}" for what in _differing_at(made, stored, cap, exact))


def _differing_at(made: Arrays, stored: Arrays, cap: int, exact: bool) -> Iterator[str]:
    image, row = made["images"][made["pick"][0, cap]], int(stored["pick"][0, cap])
    yield from _differing_image(image, row, stored, exact)

    # What it was worth, and what it cost.
    reward, other = made["reward"][0, cap], stored["reward"][0, cap]
    near = np.abs(reward - other) <= REWARD * (1 + np.abs(reward))
    if not (np.array_equal(reward, other, equal_nan=True) if exact else bool(np.all(near))):
        yield f"reward {other.tolist()} there and {reward.tolist()} here"
    columns = range(len(LEDGER)) if exact else [LEDGER.index("nfe")]
    for column in columns:
        here, there = int(shards.ledger_of(made)[0, cap, column]), int(shards.ledger_of(stored)[0, cap, column])
        if here != there:
            yield f"{LEDGER[column]} {there} there and {here} here"
    for key in sorted(name for name in made.keys() | stored.keys() if exact and name.startswith(NOTE)):
        noted, other = (arrays[key][0, cap] if key in arrays else math.nan for arrays in (made, stored))
        if not np.array_equal(noted, other, equal_nan=True):
            yield f"{key} {other} there and {noted} here"
    if exact and "start" in stored and "noise" in stored and not _same_start(made, stored, cap):
        yield "its starting point"


def _differing_image(image: np.ndarray, row: int, stored: Arrays, exact: bool) -> Iterator[str]:
    """Yield what differs between an image and the one that is stored in a row, or its digest."""
    images, digests = stored.get("images", ()), stored.get("digest", ())
    if not 0 <= row < max(len(images), len(digests)):
        yield "there is no image"
        return
    if row < len(images):
        apart = np.abs(image.astype(int) - images[row]) if image.shape == images[row].shape else np.array([255])
        if apart.max() > (0 if exact else LEVELS):
            yield f"{np.count_nonzero(apart)} of {image.size} values by up to {apart.max()}"
    if exact and row < len(digests) and sha256(image.tobytes()).digest() != digests[row].tobytes():
        yield "the sha256 of its pixels"


def _same_start(made: Arrays, stored: Arrays, cap: int) -> bool:
    try:
        here, there = (decode_start(int(arrays["start"][0, cap]), arrays["noise"]) for arrays in (made, stored))
    except IndexError:
        return False
    return np.array_equal(np.asarray(here), np.asarray(there)) if here is not None else there is None
