"""Paired differences: each method minus `random` at equal budget, image by image.

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
from typing import NamedTuple

import numpy as np

from its.budget import Cap, cap_of
from its.disk.delivered import image_names
from its.disk.files import DamagedFile, read_file
from its.disk.run_folder import RunFolder
from its.report.runs import RunRecord, UnreadableRun
from its.report.series import Series

COMPARED = ("fid", "accuracy", "reward_mean")
BASELINE = "random"
QUANTILE = 1.959964
"""Of the normal distribution, for a two-sided interval of 95 %."""

ReadEffects = Callable[[Path, int, str], np.ndarray | None]


@dataclass(frozen=True)
class Difference:
    """A method minus `random` at one cap.

    Attributes:
        series: number of the method's series in its group.
        low, high: the interval of 95 %.
        pairs: problems that both made, over all seeds.
    """

    series: int
    column: str
    cap: Cap
    value: float
    low: float
    high: float
    pairs: int
    seeds: int


class SeedDifference(NamedTuple):
    """The difference of two runs of one seed, its standard error, and the number of problems."""

    value: float
    error: float
    problems: int


def differences(folder: Path, series: Sequence[Series]) -> list[Difference]:
    """Compare every series with the first `random` of its verifier, rendered as it is, at every cap that both have.

    A cap is left out where a run's per-image numbers are not on disk any more.

    Raises:
        UnreadableRun: they are damaged.
    """
    read = cache(per_image)
    baselines = {(line.verifier, line.rendered): line for line in reversed(series) if line.search == BASELINE}
    results = []
    for number, line in enumerate(series):
        baseline = baselines.get((line.verifier, line.rendered))
        if baseline is None or baseline is line:
            continue
        caps = sorted({cap_of(row) for run in line.runs for row in run.rows}, key=lambda cap: cap.order)
        for column in COMPARED:
            for cap in (cap for cap in caps if cap.value is not None):
                pairs = _pairs(line, baseline, cap)
                seeds = [seed for pair in pairs if (seed := _paired(folder, pair, column, cap, read))]
                if seeds:
                    results.append(_over_seeds(number, column, cap, seeds))
    return results


def _pairs(line: Series, baseline: Series, cap: Cap) -> Iterator[tuple[RunRecord, RunRecord]]:
    """Yield one pair of runs for each seed that both have at this cap."""
    ours, theirs = (
        {run.seed: run for run in reversed(side.runs) if any(cap_of(row) == cap for row in run.rows)}
        for side in (line, baseline)
    )
    yield from ((ours[seed], theirs[seed]) for seed in ours if seed in theirs)


def _paired(
    folder: Path, pair: tuple[RunRecord, RunRecord], column: str, cap: Cap, read: ReadEffects
) -> SeedDifference | None:
    """Subtract the second run from the first, problem by problem; None if a number of either is not known."""
    rows = [next(row for row in run.rows if cap_of(row) == cap) for run in pair]
    effects = []
    for run in pair:
        try:
            effects.append(read(folder / run.folder, run.images, column))
        except DamagedFile as damage:
            raise UnreadableRun(run.folder, damage) from damage
    present = [numbers for numbers in effects if numbers is not None]
    if any(row.get(column) is None for row in rows) or len(present) < len(pair):
        return None
    ours, theirs = (numbers[:, run.position(cap)] for numbers, run in zip(present, pair, strict=True))
    n = len(ours)
    if n < 2 or len(theirs) != n:
        return None
    error = float(np.std(ours - theirs, ddof=1)) / math.sqrt(n)
    return SeedDifference(rows[0][column] - rows[1][column], error, n)


def _over_seeds(number: int, column: str, cap: Cap, seeds: Sequence[SeedDifference]) -> Difference:
    """Average over seeds, whose images are independent."""
    value = fmean(seed.value for seed in seeds)
    error = QUANTILE * math.sqrt(sum(seed.error**2 for seed in seeds)) / len(seeds)
    problems = sum(seed.problems for seed in seeds)
    return Difference(number, column, cap, value, value - error, value + error, problems, len(seeds))


def per_image(run: Path, images: int, column: str) -> np.ndarray | None:
    """Return what each of the first `images` problems adds to a metric at each cap, float64 `[images, caps]`.

    Rewards are read from the shards. None if a file is not there or does not say.

    Raises:
        DamagedFile: it is not what was written.
    """
    files = RunFolder(run)
    name = "reward" if column == "reward_mean" else column
    parts = map(files.store.read, image_names(files)) if name == "reward" else iter([_effects(files)])
    by_shard = [part[name].astype(np.float64) if part is not None and name in part else None for part in parts]
    columns = [column for column in by_shard if column is not None]
    if len(columns) < len(by_shard):
        return None
    whole = np.concatenate(columns)[:images] if columns else np.zeros((0, 0))
    return whole if len(whole) == images else None


def _effects(files: RunFolder) -> dict[str, np.ndarray] | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = read_file(files.per_image)
    try:
        if content is None or files.agrees(files.per_image):
            return None if content is None else load(content)
    except SafetensorError as error:
        raise DamagedFile(f"{files.per_image} is damaged ({error})") from error
    raise DamagedFile(f"{files.per_image} is not what was written")
