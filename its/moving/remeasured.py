"""The numbers of a run, computed again from what it has stored, and held against those that it tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from its.disk.array_names import features_name, shard_name
from its.disk.files import DamagedFile
from its.disk.records import FILES
from its.disk.run_folder import EDITED
from its.disk.store import Arrays, Store
from its.process.device import require_one_device_type
from its.rerun.finished_run import FinishedRun
from its.run import shards
from its.run.curve_files import problem_lines
from its.run.experiment import Experiment
from its.run.held_out import SCORES
from its.run.measure import COST_COLUMNS, Curve
from its.run.stock import Stock

COST, METRIC = 1e-9, 1e-4
"""Parts of a number by which costs and rewards, and metrics, may differ: sums of another machine's round otherwise."""

UNCOMPARED = ("command", "sources", "measured", "asked", "curve", FILES)
"""Entries of a summary that are compared otherwise, or tell of versions."""


def fill(stock: Stock, run: FinishedRun, experiment: Experiment) -> None:
    """Take every image that a run delivers into stock, with its features; what an oracle chose is chosen again.

    Raises:
        ValueError: one is damaged, missing, or holds other problems than the run's.
    """
    store = run.files.store
    for indices in run.ranges:
        name = features_name(experiment.instruments.extractor.name, indices.start)
        arrays, features = store.read(shard_name(indices.start)), store.read(name)
        if arrays is None or not shards.covers(arrays, indices):
            raise DamagedFile(f"{shard_name(indices.start)} does not hold problems {indices.start} to {indices[-1]}")
        rows = len(arrays["digest" if "digest" in arrays else "images"])
        if features is None or any(len(array) != rows for array in features.values()):
            raise DamagedFile(f"{name} does not hold the features of {rows} images")
        stock.take(indices, {**arrays, **_held_out(run, experiment, indices)}, features)
    shards.refuse_gaps(stock.shards)
    shards.refuse_other_conditions(stock.shards, experiment.condition)
    require_one_device_type(run.folder, store.notes())
    stock.adopt(experiment.delivered(stock, Store(stock.folder)))


def _held_out(run: FinishedRun, experiment: Experiment, indices: range) -> Arrays:
    """Return the scores of held-out verifiers that a run has stored of a shard.

    Raises:
        ValueError: they are damaged or missing.
    """
    scores = {}
    for each in experiment.instruments.held_out:
        stored = run.files.store.read(each.file(indices.start))
        if stored is None:
            raise DamagedFile(f"{each.file(indices.start)} is gone, with the scores of verifier@report {each.name}")
        scores[each.key] = stored[SCORES]
    return scores


def differing_numbers(run: FinishedRun, experiment: Experiment, stock: Stock) -> Iterator[str]:
    """Yield a sentence on each number of the summary and of `per_image` that is not what comes out here.

    Args:
        stock: is filled; in its folder lies what an oracle chooses here.
    """
    # What an oracle chose, and what else the summary says.
    fill(stock, run, experiment)
    for name in sorted(Store(stock.folder).present()):
        if Store(stock.folder).digests(name) != run.files.store.digests(name):
            yield f"{name} is not what an oracle chooses here"
    curve = experiment.curve_of(stock)
    for key, value in experiment.summary_of(curve, stock).items():
        of_before = {"kept": "all", "protocol": value}.get(key)
        if key not in UNCOMPARED and run.summary.get(key, of_before) != value:
            yield f"{key} is {run.summary.get(key)!r} in {run.files.summary.name}, and {value!r} here"

    # The curve, number by number.
    rows = run.summary["curve"]
    if len(rows) != len(curve.rows):
        yield f"the curve has {len(rows)} rows, and {len(curve.rows)} here"
    for position, (there, here) in enumerate(zip(rows, curve.rows, strict=False)):
        for key in sorted((there.keys() | here.keys()) - {EDITED}):
            if not _same(there.get(key, ""), here.get(key, ""), COST if key in COST_COLUMNS else METRIC):
                yield f"{key} in row {position} of the curve is {there.get(key)}, and {here.get(key)} here"
    yield from _differing_effects(run, curve)
    yield from _differing_problems(run, experiment)


def count_numbers(rows: list[Mapping[str, Any]]) -> int:
    """Return how many numbers a curve has."""
    return sum(value is not None for row in rows for value in row.values())


def _differing_effects(run: FinishedRun, curve: Curve) -> Iterator[str]:
    """Yield a sentence on each array of `per_image` that does not come out here."""
    path = run.files.per_image
    if not path.exists():  # one on record that is gone has been told by its sha256
        return
    try:
        stored = load(path.read_bytes())
    except (OSError, SafetensorError) as error:
        yield f"{path.name} cannot be read ({error})"
        return
    for name in sorted(stored.keys() | curve.per_image.keys()):
        there, here = stored.get(name), curve.per_image.get(name)
        if (
            there is None
            or here is None
            or there.shape != here.shape
            or not np.array_equal(np.isfinite(there), known := np.isfinite(here))
        ):
            yield f"{name} of {path.name} is not of these images"
        elif np.abs(there - here)[known].max(initial=0.0) > 1e-3 * np.abs(here[known]).max(initial=1e-6):
            yield f"{name} of {path.name} is not what comes out here"


def _differing_problems(run: FinishedRun, experiment: Experiment) -> Iterator[str]:
    """Yield a sentence if the list of a run's prompts and categories is not the dataset's."""
    path, conditions = run.files.problems, [experiment.condition(index) for index in range(experiment.images)]
    if path.exists() and path.read_bytes() != problem_lines(conditions, experiment.instruments.data).encode():
        yield f"{path.name} does not say what the dataset's problems ask for"


def _same(there: Any, here: Any, part: float) -> bool:
    if isinstance(there, int | float) and isinstance(here, int | float):
        return math.isclose(there, here, rel_tol=part, abs_tol=part * 1e-3)
    return type(there) is type(here) and there == here
