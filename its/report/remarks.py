"""Remarks beside the numbers of several runs: by which protocol they were measured, and by which code made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from its.disk.columns import HELD_OUT, ORACLE
from its.report.published import PublishedTable
from its.report.runs import RunRecord

MOST_NAMED = 6
"""Files of code that a remark lists."""


def protocols_of(runs: Sequence[RunRecord]) -> list[str]:
    """Return the line that stands beside the FIDs of runs, which says so if they were not measured alike.

    Of versions that left no protocol on record there is none.
    """
    sentences = list(dict.fromkeys(run.protocol for run in runs if run.protocol))
    return sentences if len(sentences) < 2 else [f"not measured alike: {'; '.join(sentences)}"]


def notes_of(runs: Sequence[RunRecord]) -> list[str]:
    """Return the lines that stand above a table of runs."""
    published = dict.fromkeys(table.note for table in published_in(runs))
    return [*protocols_of(runs), *oracles_of(runs), *own_scores_of(runs), *published]


def published_in(runs: Sequence[RunRecord]) -> list[PublishedTable]:
    """Return the different tables of published numbers that runs are shown beside, of their dataset and model."""
    tables = [
        table
        for run in runs
        for table in run.published
        if (table.dataset, table.model) == (run.label["dataset"], run.label["model"])
    ]
    return [table for k, table in enumerate(tables) if table not in tables[:k]]


def own_scores_of(runs: Sequence[RunRecord]) -> list[str]:
    """Return the line that says which runs are scored by the verifier that they select by, if there are any."""
    scorers = {
        run.verifier: sorted(column.removeprefix(HELD_OUT) for column in run.own_scores)
        for run in runs
        if run.own_scores
    }
    clauses = "; ".join(f"{verifier} selects by {', '.join(names)}" for verifier, names in sorted(scorers.items()))
    return [f"not held out: {clauses}"] if clauses else []


def oracles_of(runs: Sequence[RunRecord]) -> list[str]:
    """Return the line that says of runs which an oracle chose that they are upper bounds, if there are any."""
    names = sorted({run.verifier for run in runs if ORACLE in run.verifier})
    return [f"{', '.join(names)}: an oracle chose by what measures; an upper bound"] if names else []


def of_two_sources(runs: Sequence[RunRecord]) -> str:
    """Return a sentence that names files of code which were not the same for all runs, or nothing."""
    counts = Counter(name for name, _ in frozenset[tuple[str, str]]().union(*(run.sources for run in runs)))
    names = sorted(name for name, count in counts.items() if count > 1)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"made by different sources: runs differ in {', '.join(names[:MOST_NAMED])}{more}" if names else ""
