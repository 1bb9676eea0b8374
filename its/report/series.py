"""Series: runs of one method as one line of a figure, with its points and what sets it apart from the others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from its.budget import Cap, cap_of
from its.disk.columns import ORACLE, VERDICT
from its.report.runs import Row, RunRecord, spent

WITHOUT_SEARCH = "none"
BASELINE = "more_steps"

MIN_SEEDS = 3
"""So many give a standard error of their own: two agree by chance too often."""


@dataclass(frozen=True)
class Point:
    """A number at a cost, both at `cap`; costs and numbers are means over seeds.

    `error` is the standard error over seeds if there are enough of them, else over images; None if unknown.
    """

    cap: Cap
    cost: float
    value: float
    error: float | None
    seeds: int


@dataclass(frozen=True)
class Series:
    """Runs that differ in seed and caps only.

    Attributes:
        method: the search, and the settings that not all series share.
        other_verifier: whether it selects by another verifier than the most common one.
    """

    search: str
    method: str
    verifier: str
    other_verifier: bool
    runs: tuple[RunRecord, ...]

    @property
    def legend(self) -> str:
        """The name in a figure's legend; what an oracle chose says so."""
        tells = self.other_verifier or ORACLE in self.verifier
        return f"{self.method} ({self.verifier})" if tells else self.method

    @property
    def plain_search(self) -> str:
        """The search without its guidance: `random` of `random+tfg`."""
        return self.search.partition("+")[0]

    @property
    def variant(self) -> str:
        """What sets it apart from others of its search, as in `+tfg eta=1 (null_rewards)`; empty if nothing does."""
        return self.legend.removeprefix(self.plain_search).strip()

    @property
    def rendered(self) -> str:
        """The sampler that sampled its winners once more; empty of runs themselves."""
        return self.runs[0].rendered

    @property
    def seeds(self) -> list[str]:
        return sorted({run.seed for run in self.runs}, key=lambda seed: (len(seed), seed))

    def points(self, column: str, cost: str = "nfe", min_seeds: int = MIN_SEEDS) -> list[Point]:
        """Return one point per cap, cheapest first; caps at which nothing more was spent are one point.

        Args:
            min_seeds: so many give a standard error of their own, at least 2.
        """
        by_cap = self._by_cap().items()
        points = [point for cap, rows in by_cap if (point := _point(cap, rows, column, cost, min_seeds))]
        first = {(point.cost, point.value, point.error): point for point in reversed(points)}
        return sorted(first.values(), key=lambda point: point.cost)

    def _by_cap(self) -> dict[Cap, list[Row]]:
        """Return one row of each seed at every cap."""
        rows: dict[Cap, dict[str, Row]] = {}
        for run in self.runs:
            for row in run.rows:
                rows.setdefault(cap_of(row), {}).setdefault(run.seed, row)
        return {cap: list(of_seed.values()) for cap, of_seed in rows.items()}


def series_of(runs: Sequence[RunRecord]) -> list[Series]:
    """Sort runs into series: the baselines, then searches by name, the most common verifier first."""
    verifier = main_verifier(runs)
    shared = frozenset.intersection(*(run.settings for run in runs)) if runs else frozenset()
    alike: dict[tuple[str, bool, str, str], list[RunRecord]] = {}
    for run in runs:
        settings = " ".join(word.removeprefix("search.") for word in sorted(run.settings - shared))
        alike.setdefault((run.search, run.verifier != verifier, run.verifier, settings), []).append(run)
    series = []
    for (search, other, name, settings), members in sorted(alike.items(), key=lambda item: _rank(item[0])):
        for part, mark in _split(members):
            method = " ".join(word for word in (search, settings, mark) if word)
            series.append(Series(search, method, name, other, tuple(part)))
    return series


def main_verifier(runs: Sequence[RunRecord]) -> str:
    """Return the most common verifier; the first by name among equals."""
    counts = Counter(run.verifier for run in runs)
    return min(counts, key=lambda name: (-counts[name], name))


def _rank(key: tuple[str, bool, str, str]) -> tuple[int, tuple[str, bool, str, str]]:
    baselines = (WITHOUT_SEARCH, BASELINE)
    return (baselines.index(key[0]) if key[0] in baselines else len(baselines)), key


def _split(runs: Sequence[RunRecord]) -> list[tuple[list[RunRecord], str]]:
    """Return runs as one series; or each alone, marked by its hash, if two disagree at a seed and a cap."""
    first: dict[tuple[str, Cap], str] = {}
    for run in runs:
        for row in run.rows:
            numbers = {key: value for key, value in row.items() if key != "seconds" and not key.startswith(VERDICT)}
            row_text = repr(sorted(numbers.items()))
            if first.setdefault((run.seed, cap_of(row)), row_text) != row_text:
                return [([run], f"#{run.folder.name.rpartition('-')[2]}") for run in runs]
    return [(list(runs), "")]


def _point(cap: Cap, rows: Sequence[Row], column: str, cost: str, min_seeds: int) -> Point | None:
    values, costs = [_number(row.get(column)) for row in rows], [_number(spent(row, cost)) for row in rows]
    if not all(math.isfinite(value) for value in (*values, *costs)):
        return None
    n, errors = len(rows), [_number(row.get(f"{column}_se")) for row in rows]
    error = stdev(values) / math.sqrt(n) if n >= min_seeds else math.hypot(*errors) / n
    return Point(cap, fmean(costs), fmean(values), error if math.isfinite(error) else None, n)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
