"""The panels of the plots, apart from how they are drawn: every panel is also a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from its.budget import CAP_HEADERS, UNITS, Cap, cap_of
from its.disk.columns import NOTE
from its.report.numbers import significant
from its.report.paired_differences import COMPARED as PAIRED
from its.report.paired_differences import differences
from its.report.runs import RunRecord, scorer, spent
from its.report.series import MIN_SEEDS, Series, main_verifier
from its.report.tables import Table, note_header, verdict_header
from its.report.verdicts import judged_columns

COMPARED = ("fid", "accuracy", "reward_mean", "isc", "pairwise")
COSTS = ("nfe", "flops", "seconds")

INCEPTION = ("cifar10", "cifar100", "folder", "npz", "imagenet64", "imagenet256", "imagenet512")

FEATURES = {"mixture": "pixels"} | dict.fromkeys(INCEPTION, "Inception")
"""Features that FID compares, where they are not those of the dataset's report classifier."""

REWARD_UNITS = {"classifier": "log p"}

MEMBER = re.compile(r"reward_(\w+)_mean")
"""Columns of the mean reward by a member of an ensemble."""


@dataclass(frozen=True)
class Mark:
    """A point; low and high are the ends of its band, None if unknown."""

    x: float
    y: float
    low: float | None
    high: float | None
    cap: Cap


@dataclass(frozen=True)
class Panel:
    """One plot.

    Attributes:
        kind: `curve` (log x, band), `paired` and `wins` (log x, intervals, a line at 0 and at one half), `path` (linear
            x) or `front` (log x, points, and the steps through `front`).
        series, marks: as many of each; which of the group's series the marks are of.
        front: marks that no other beats, cheapest first, with their series.
    """

    name: str
    kind: str
    x_label: str
    y_label: str
    series: tuple[int, ...]
    marks: tuple[tuple[Mark, ...], ...]
    ticks: tuple[float, ...] = ()
    title: str = ""
    front: tuple[tuple[int, Mark], ...] = ()

    def table(self, legends: Sequence[str]) -> Table:
        """Return the same numbers as text, given the legends of the group's series."""
        currencies = [key for key in UNITS if any(mark.cap.currency == key for marks in self.marks for mark in marks)]
        header = ["method", *(CAP_HEADERS[key] for key in currencies), self.x_label, self.y_label, "from", "to"]
        rows = []
        for number, marks in zip(self.series, self.marks, strict=True):
            for mark in marks:
                ends = ["" if end is None else significant(end) for end in (mark.low, mark.high)]
                front = ["yes" if (number, mark) in self.front else "no"] if self.front else []
                rows.append(
                    [
                        legends[number],
                        *(_cell(mark.cap) if mark.cap.currency == key else "" for key in currencies),
                        significant(mark.x),
                        significant(mark.y),
                        *ends,
                        *front,
                    ]
                )
        return header + (["on the front"] if self.front else []), rows


def cost_panels(
    runs: Sequence[RunRecord], series: Sequence[Series], columns: Sequence[str] = COMPARED, cost: str = "nfe"
) -> list[Panel]:
    """Return a panel for each metric, held-out verifier and judge that the runs have, against what was spent.

    Rewards of different verifiers are on different scales: theirs shows the most common one only.
    """
    panels = []
    for column in (*columns, *held_out_columns(runs), *judged_columns(runs)):
        shown = marks_of(series, column, cost)
        if shown:
            panels.append(
                Panel(
                    f"{column}_vs_{cost}",
                    "curve",
                    cost_label(cost, runs),
                    metric_label(column, runs),
                    tuple(shown),
                    tuple(shown.values()),
                    cap_ticks(series, cost),
                    _only(runs, series) if column == "reward_mean" else "",
                )
            )
    return panels


def paired_panels(folder: Path, runs: Sequence[RunRecord], series: Sequence[Series]) -> list[Panel]:
    """Return panels of differences to `random` at equal cap, with intervals of 95 %."""
    panels = []
    # Marks of each line, by metric.
    everything = differences(folder, series)
    for column, currency in product(PAIRED, UNITS):
        marks: dict[int, list[Mark]] = {}
        for difference in everything:
            line, cap = difference.series, difference.cap
            shown = difference.column == column and cap.currency == currency
            if cap.value is not None and shown and not (column == "reward_mean" and series[line].other_verifier):
                mark = Mark(cap.value, difference.value, difference.low, difference.high, cap)
                marks.setdefault(line, []).append(mark)

        # A panel for each metric that has any.
        if marks:
            caps = tuple(sorted({mark.x for points in marks.values() for mark in points}))
            panels.append(
                Panel(
                    f"paired_{column}" + (f"_at_{currency}" if currency != "nfe" else ""),
                    "paired",
                    f"{CAP_HEADERS[currency]} per image",
                    f"{short_label(column, runs)} minus random's",
                    tuple(marks),
                    tuple(map(tuple, marks.values())),
                    caps,
                )
            )
    return panels


def hacking_panels(runs: Sequence[RunRecord], series: Sequence[Series]) -> list[Panel]:
    """Return panels of the searched reward against what the search never saw: where that turns, it is hacked.

    Mean ranks have no scale, so of a rank ensemble each member's reward is held against it.
    """
    metrics = ("fid", "accuracy", *held_out_columns(runs), *judged_columns(runs), "pairwise")
    panels = []
    for searched, column in product(("reward_mean", *_members(runs)), metrics):
        paths = {number: marks for number, line in enumerate(series) if (marks := _path(line, searched, column))}
        if paths:
            of_one = searched == "reward_mean"
            panels.append(
                Panel(
                    f"hacking_{column}" if of_one else f"hacking_{searched}_{column}",
                    "path",
                    f"select: {metric_label(searched, runs)}",
                    f"report: {short_label(column, runs)}",
                    tuple(paths),
                    tuple(paths.values()),
                    title=_only(runs, series) if of_one else "",
                )
            )
    return panels


def _path(line: Series, searched: str, column: str) -> tuple[Mark, ...]:
    """Return a series' marks of a metric against a reward; none where the scales or scorers forbid it."""
    other_scale = searched == "reward_mean" and line.other_verifier
    if other_scale or any(column in run.own_scores for run in line.runs):
        return ()
    rewards = {point.cap: point.value for point in line.points(searched)}
    return tuple(
        Mark(rewards[point.cap], point.value, *_band(point.value, point.error), point.cap)
        for point in line.points(column)
        if point.cap in rewards
    )


def _members(runs: Sequence[RunRecord]) -> list[str]:
    """Return the columns of ensemble members' mean rewards."""
    return list(dict.fromkeys(column for run in runs for row in run.rows for column in row if MEMBER.fullmatch(column)))


def front_panels(runs: Sequence[RunRecord], series: Sequence[Series]) -> list[Panel]:
    """Return panels of FID against each cost, with the runs that none beats in both."""
    panels = []
    for cost in COSTS:
        shown = marks_of(series, "fid", cost)
        if shown:
            pairs = [(number, mark) for number, marks in shown.items() for mark in marks]
            panels.append(
                Panel(
                    f"pareto_{cost}",
                    "front",
                    cost_label(cost, runs),
                    metric_label("fid", runs),
                    tuple(shown),
                    tuple(shown.values()),
                    cap_ticks(series, cost),
                    front=pareto_front(pairs),
                )
            )
    return panels


def pareto_front(marks: Sequence[tuple[int, Mark]]) -> tuple[tuple[int, Mark], ...]:
    """Return the marks that no other beats, cheapest first: none is as low on both axes and lower on one of them."""
    front: list[tuple[int, Mark]] = []
    for number, mark in sorted(marks, key=lambda pair: (pair[1].x, pair[1].y)):
        if not front or mark.y < front[-1][1].y:
            front.append((number, mark))
    return tuple(front)


def cost_label(cost: str, runs: Sequence[RunRecord]) -> str:
    """Return the name of a cost's axis."""
    devices = sorted({device for run in runs for device in run.devices})
    return {
        "nfe": "network evaluations (NFE) per image",
        "verifier_calls": "verifier calls per image",
        "flops": "FLOPs per image",
        "seconds": f"device-seconds per image ({', '.join(devices) or 'unknown device'})",
    }[cost]


def metric_label(column: str, runs: Sequence[RunRecord]) -> str:
    """Return the name of a metric's axis, with the better direction; of one that is not known, its column."""
    verifier, dataset = main_verifier(runs), runs[0].label["dataset"]
    features, unit = FEATURES.get(dataset, "report-classifier features"), REWARD_UNITS.get(verifier, verifier)
    return {
        "fid": f"FID ↓ ({features})",
        "accuracy": "accuracy ↑",
        "reward_mean": f"mean reward ↑ ({unit})",
        "isc": "inception score ↑",
        "kid": "KID ↓",
        "sfid": "sFID ↓",
        "fd_dinov2": "FD-DINOv2 ↓",
        "precision": "precision ↑",
        "recall": "recall ↑",
        "pairwise": "pairwise distance ↑ (of one prompt)",
        **{each: MEMBER.sub(r"\1 ↑ (of the ensemble)", each) for each in _members(runs)},
        **{each: _scorer_label(each, runs) for each in held_out_columns(runs)},
        **{each: f"{verdict_header(each)} (judged outside)" for each in judged_columns(runs)},
    }.get(column, note_header(column) if column.startswith(NOTE) else column)


def _scorer_label(column: str, runs: Sequence[RunRecord]) -> str:
    name, _, held_out = scorer(column, runs).partition(", ")
    return f"{name} ↑ ({held_out})" if held_out else f"{name} ↑"


def held_out_columns(runs: Sequence[RunRecord]) -> list[str]:
    """Return the columns of held-out verifiers that any of the runs has."""
    return list(dict.fromkeys(column for run in runs for column in run.held_out))


def short_label(column: str, runs: Sequence[RunRecord]) -> str:
    """Return the name of a metric without units, where the axis says more already."""
    return metric_label(column, runs).partition(" (")[0]


def _only(runs: Sequence[RunRecord], series: Sequence[Series]) -> str:
    """Return the title of a panel that leaves out what selects by another verifier."""
    return f"only runs that select by {main_verifier(runs)}" if any(line.other_verifier for line in series) else ""


def marks_of(
    series: Sequence[Series], column: str, cost: str, min_seeds: int = MIN_SEEDS, errors: float = 1.0
) -> dict[int, tuple[Mark, ...]]:
    """Return the marks of every series that has some, their bands of so many standard errors to each side."""
    marks = {
        number: tuple(
            Mark(point.cost, point.value, *_band(point.value, point.error, errors), point.cap)
            for point in line.points(column, cost, min_seeds)
            if point.cost > 0
        )
        for number, line in enumerate(series)
        if not (column == "reward_mean" and line.other_verifier)
    }
    return {number: points for number, points in marks.items() if points}


def _band(value: float, error: float | None, errors: float = 1.0) -> tuple[float | None, float | None]:
    return (None, None) if error is None else (value - errors * error, value + errors * error)


def cap_ticks(series: Sequence[Series], cost: str) -> tuple[float, ...]:
    """Return the caps in a cost; mean NFE where none is in NFE, and nothing where none is in another."""
    rows = [row for line in series for run in line.runs for row in run.rows]
    caps = {cap.value for cap in map(cap_of, rows) if cap.currency == cost and cap.value is not None}
    return tuple(sorted(caps or {spent(row, cost) for row in rows if cost == "nfe"}))


def _cell(cap: Cap) -> str:
    return "none" if cap.value is None else f"{cap.value:g}"
