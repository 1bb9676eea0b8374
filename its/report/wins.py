"""Win rates: how often a method's image of a problem beats that of `search=none`, for the same prompt and noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from its.budget import Cap, cap_of
from its.report.asked import REWARD, Scores
from its.report.paired_differences import QUANTILE
from its.report.panels import Mark, Panel, cap_ticks, cost_label, held_out_columns
from its.report.runs import RunRecord, scorer, spent
from its.report.series import WITHOUT_SEARCH, Series

OF_METHOD = ("search.", "guidance.", "verifier.")
"""Beginnings of settings that may set a method apart from plain sampling."""


@dataclass(frozen=True)
class Wins:
    """The outcomes of a run's images at one cap against those of plain sampling.

    Attributes:
        outcomes: 1 where an image wins, 0.5 where both score alike, 0 where it loses: `[images]`.
    """

    cap: Cap
    nfe: float
    outcomes: np.ndarray


def wins_of(run: RunRecord, runs: Sequence[RunRecord], column: str, scores: Scores) -> list[Wins]:
    """Compare a run with its plain sampling at each of its caps; nothing if there is none, or a score is not known.

    Args:
        runs: of its group.
        column: of the scores.
    """
    plain = plain_of(run, runs, column)
    ours, theirs = (None if each is None else scores(each, column) for each in (run, plain))
    if plain is None or ours is None or theirs is None or run.search == WITHOUT_SEARCH:
        return []
    wins = []
    for row in run.rows:
        cap = cap_of(row)
        mine, base = ours[:, run.position(cap)], theirs[:, -1]  # plain sampling is the same at every cap
        if not np.isnan(mine).any() and not np.isnan(base).any():
            wins.append(Wins(cap, float(spent(row, "nfe")), (mine > base) + 0.5 * (mine == base)))
    return wins


def plain_of(run: RunRecord, runs: Sequence[RunRecord], column: str) -> RunRecord | None:
    """Return the run of `search=none` with a run's seed and settings that has the scores too; None without."""
    for other in runs:
        alike = (other.seed, other.rendered, _apart(other)) == (run.seed, run.rendered, _apart(run))
        same_scorer = column != REWARD or other.verifier == run.verifier
        if other.search == WITHOUT_SEARCH and alike and same_scorer and any(column in row for row in other.rows):
            return other
    return None


def _apart(run: RunRecord) -> frozenset[str]:
    """Return the settings of a run that plain sampling has as well."""
    return frozenset(word for word in run.settings if not word.lstrip("+~").startswith(OF_METHOD))


def win_panels(runs: Sequence[RunRecord], series: Sequence[Series], scores: Scores) -> list[Panel]:
    """Return a panel of win rates for each scorer of which there are any, with intervals of 95 % over problems."""
    panels = []
    for column in (REWARD, *held_out_columns(runs)):
        marks = {number: marks for number, line in enumerate(series) if (marks := _marks(line, runs, column, scores))}
        if marks:
            by = "the verifier that selects" if column == REWARD else scorer(column, runs)
            panels.append(
                Panel(
                    f"wins_{column}",
                    "wins",
                    cost_label("nfe", runs),
                    f"win rate ↑ ({by})",
                    tuple(marks),
                    tuple(marks.values()),
                    cap_ticks(series, "nfe"),
                )
            )
    return panels


def win_note(runs: Sequence[RunRecord], series: Sequence[Series], scores: Scores) -> str:
    """Return the line that says how win rates are to be read, and which are left out and why."""
    columns = (REWARD, *held_out_columns(runs))
    methods = [line for line in series if line.search != WITHOUT_SEARCH]
    without = [line.legend for line in methods if not any(_marks(line, runs, column, scores) for column in columns)]
    if len(without) == len(methods):
        return (
            "Left out: there is no run of search=none with the same seed, settings and scores, whose images the "
            "methods' would be held against; add search=none to the sweep."
        )
    left_out = f" Left out for want of a run of search=none of their seed: {', '.join(without)}." if without else ""
    return (
        "The share of problems whose image scores higher than that of search=none, which has the same prompt and seed; "
        f"equal scores count half. Bars: intervals of 95 % over problems.{left_out}"
    )


def _marks(line: Series, runs: Sequence[RunRecord], column: str, scores: Scores) -> tuple[Mark, ...]:
    """Return a series' win rate at each cap, over all of its seeds."""
    by_cap: dict[Cap, list[Wins]] = {}
    for run in {run.seed: run for run in reversed(line.runs)}.values():
        for wins in wins_of(run, runs, column, scores):
            by_cap.setdefault(wins.cap, []).append(wins)
    return tuple(sorted(_mark(by_cap), key=lambda mark: mark.x))


def _mark(by_cap: dict[Cap, list[Wins]]) -> Iterator[Mark]:
    for cap, wins in by_cap.items():
        outcomes, nfe = np.concatenate([each.outcomes for each in wins]), float(np.mean([each.nfe for each in wins]))
        rate = float(outcomes.mean())
        error = QUANTILE * float(outcomes.std(ddof=1)) / math.sqrt(len(outcomes)) if len(outcomes) > 1 else math.nan
        known = not math.isnan(error)
        yield Mark(nfe, rate, max(0.0, rate - error) if known else None, min(1.0, rate + error) if known else None, cap)
