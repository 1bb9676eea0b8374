"""Tables of what judges outside found, by tag, as GenEval's authors report it."""

from __future__ import annotations

from collections.abc import Sequence

from its.budget import Cap, cap_of
from its.disk.columns import VERDICT
from its.disk.verdicts import Verdicts
from its.report.escape import printable
from its.report.runs import RunRecord
from its.report.series import Series
from its.report.shares import is_of, shares_of
from its.report.tables import Table, with_error


def judged_columns(runs: Sequence[RunRecord]) -> list[str]:
    """Return the columns of verdicts that any of the runs has, without their errors."""
    columns = dict.fromkeys(column for run in runs for row in run.rows for column in row if column.startswith(VERDICT))
    return [column for column in columns if not column.endswith("_se")]


def verdict_tables(runs: Sequence[RunRecord], series: Sequence[Series]) -> dict[str, Table]:
    """Return by judge the share of each tag under every method, at the largest cap that was judged, over its seeds."""
    names = dict.fromkeys(each.name for run in runs for each in run.verdicts)
    return {name: table for name in names if (table := _table(name, series))[1]}


def _table(name: str, series: Sequence[Series]) -> Table:
    lines = [(line.legend, *largest) for line in series if (largest := _largest(line, name)) is not None]
    tags = list(dict.fromkeys(tag for *_, verdicts in lines for each in verdicts for tag in each.tags))
    rows = []
    for legend, cap, verdicts in lines:
        whole, mean, by_tag = shares_of(verdicts)
        shares = [whole, *([mean] if tags else []), *(by_tag[tag][0] if tag in by_tag else None for tag in tags)]
        images = sum(len(each.correct) for each in verdicts)
        rows.append([legend, str(cap), str(images), *("" if share is None else with_error(*share) for share in shares)])
    headers = ["correct", *(["mean of tags"] if tags else []), *map(printable, tags)]
    return ["method", "cap", "images", *(f"{header} ↑" for header in headers)], rows


def _largest(line: Series, name: str) -> tuple[Cap, list[Verdicts]] | None:
    """Return the largest cap of a series that a judge saw, and its verdicts there, of each seed once."""
    by_cap: dict[Cap, dict[str, Verdicts]] = {}
    for run in line.runs:
        for row in run.rows:
            for each in run.verdicts:
                if each.name == name and is_of(row, each):
                    by_cap.setdefault(cap_of(row), {}).setdefault(run.seed, each)
    if not by_cap:
        return None
    cap = max(by_cap, key=lambda each: each.order)
    return cap, list(by_cap[cap].values())


def summary_of(verdicts: Verdicts) -> str:
    """Return what verdicts come to, in a few lines."""
    whole, mean, by_tag = shares_of([verdicts])
    cap = "no cap" if verdicts.cap is None else f"cap {verdicts.cap:g}"
    lines = [f"{verdicts.name} at {cap}: {with_error(*whole)} of {len(verdicts.correct):,} images are correct"]
    lines += [f"  {printable(tag)}: {with_error(*share)} of {images:,}" for tag, (share, images) in by_tag.items()]
    lines += [] if mean is None else [f"  mean of tags: {with_error(*mean)}"]
    return "\n".join(lines)
