"""Differences to `random` at equal budget, image by image.

Two methods with one seed meet the same problems with the same noise, so that what an image adds to a metric may be
subtracted problem by problem; what both share then cancels in the error. For means (reward, accuracy) this is the
paired t statistic. For FID it is the infinitesimal jackknife (Jaeckel 1972; Efron 1982, ch. 6), the first order of a
bootstrap over problems that draws the same ones for both methods: its interval costs one pass over numbers that were
stored when the curve was made, where a bootstrap would cost hundreds of FIDs for each point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np

from its.disk.run_folder import PER_IMAGE
from its.report.runs import RunRecord
from its.report.series import Series

COMPARED = ("fid", "accuracy", "reward_mean")
REFERENCE = "random"
QUANTILE = 1.959964
"""Of the normal distribution, for a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Difference:
    """A method minus `random` at one cap.

    Attributes:
        series: which of the group's series. low, high: the interval of 95 %.
        pairs: problems that both made, over all seeds.
    """

    series: int
    column: str
    cap: float
    value: float
    low: float
    high: float
    pairs: int
    seeds: int


def differences(folder: Path, series: Sequence[Series]) -> list[Difference]:
    """Compare every series with the first `random` that selects by the same verifier, at every cap that both have.

    A cap is left out where a run's per-image numbers are not on disk any more.
    """
    read = cache(per_image)
    references = {one.verifier: one for one in reversed(series) if one.search == REFERENCE}
    found = []
    for number, one in enumerate(series):
        reference = references.get(one.verifier)
        if reference is None or reference is one:
            continue
        for column in COMPARED:
            for cap in sorted({cap for run in one.runs for cap in run.caps if cap is not None}):
                parts = [
                    part for pair in _pairs(one, reference, cap) if (part := _paired(folder, pair, column, cap, read))
                ]
                if parts:
                    found.append(_over_seeds(number, column, cap, parts))
    return found


def _pairs(one: Series, reference: Series, cap: float) -> Iterator[tuple[RunRecord, RunRecord]]:
    """One pair of runs for each seed that both have at this cap."""
    ours, theirs = (
        {run.seed: run for run in reversed(side.runs) if any(row["nfe_cap"] == cap for row in run.rows)}
        for side in (one, reference)
    )
    yield from ((ours[seed], theirs[seed]) for seed in ours if seed in theirs)


def _paired(
    folder: Path,
    pair: tuple[RunRecord, RunRecord],
    column: str,
    cap: float,
    read: Callable[[Path, int, str], np.ndarray | None],
) -> tuple[float, float, int] | None:
    """Difference, its standard error and the number of problems."""
    rows = [next(row for row in run.rows if row["nfe_cap"] == cap) for run in pair]
    found = [read(folder / run.folder, run.images, column) for run in pair]
    said = [numbers for numbers in found if numbers is not None]
    if any(row.get(column) is None for row in rows) or len(said) < len(pair):
        return None
    ours, theirs = (numbers[:, run.caps.index(cap)] for numbers, run in zip(said, pair, strict=True))
    n = len(ours)
    if n < 2 or len(theirs) != n:
        return None
    return rows[0][column] - rows[1][column], float(np.std(ours - theirs, ddof=1)) / math.sqrt(n), n


def _over_seeds(number: int, column: str, cap: float, parts: Sequence[tuple[float, float, int]]) -> Difference:
    """Mean over seeds, whose images are independent."""
    value = fmean(part[0] for part in parts)
    error = QUANTILE * math.sqrt(sum(part[1] ** 2 for part in parts)) / len(parts)
    return Difference(
        number, column, cap, value, value - error, value + error, sum(part[2] for part in parts), len(parts)
    )


def per_image(run: Path, images: int, column: str) -> np.ndarray | None:
    """What each of the first `images` problems adds to a metric at each cap, float64 `[images, caps]`; None if unknown.

    Rewards are read from the shards; their pixels are not.
    """
    from safetensors import safe_open

    name = {"reward_mean": "reward"}.get(column, column)
    files = sorted((run / "shards").glob("*.safetensors")) if column == "reward_mean" else [run / PER_IMAGE]
    parts = []
    for path in files:
        if not path.exists():
            return None
        with safe_open(path, framework="numpy") as file:
            if name not in file.keys():  # noqa: SIM118  a safetensors file is no mapping
                return None
            parts.append(file.get_tensor(name).astype(np.float64))
    whole = np.concatenate(parts)[:images] if parts else np.zeros((0, 0))
    return whole if len(whole) == images else None
