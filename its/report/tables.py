"""Tables of curves as text: one row per run and cap."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from its.budget import CAP_COLUMNS, CAP_HEADERS, JUDGE_CALLS, JUDGE_TOKENS, LEDGER, cap_of
from its.disk.columns import BY_TAG, HELD_OUT, NOTE, ORACLE, REMOTE, VERDICT
from its.disk.run_folder import EDITED
from its.report import escape
from its.report.numbers import significant
from its.report.remarks import notes_of, published_in
from its.report.runs import COLUMNS, FailedRun, Group, Row, RunRecord, grouped, scorer
from its.report.series import Series, series_of

_NO_CAP = CAP_COLUMNS["nfe"]
"""The column in which None says that there was no cap."""

Table = tuple[list[str], list[list[str]]]
"""A header and rows of as many cells; the first column is text, the others are numbers."""


def table_markdown(runs: Sequence[RunRecord], failures: Sequence[FailedRun] = ()) -> str:
    """Return a section for each group of comparable runs, then the failed runs."""
    sections = [
        "\n\n".join([f"## {escape.markdown(group.title)}", *map(escape.markdown, notes), markdown(table)])
        for group, notes, table in _tables(runs)
    ]
    if failures:
        lines = [f"- {escape.markdown_code(failed.place)}: {escape.markdown(failed.reason)}" for failed in failures]
        sections.append("## Failed\n\n" + "\n".join(lines))
    return "\n\n".join(sections) + "\n"


def titled_markdown(title: str, table: Table) -> str:
    """Return one table in Markdown below its heading."""
    return f"## {escape.markdown(title)}\n\n{markdown(table)}\n"


def titled_latex(title: str, table: Table) -> str:
    """Return one tabular below a comment with its title."""
    return f"% {title}\n{latex(table)}"


def table_text(runs: Sequence[RunRecord], failures: Sequence[FailedRun] = ()) -> str:
    """Return the same for a terminal."""
    sections = ["\n".join([group.title, *notes, _text(table)]) for group, notes, table in _tables(runs)]
    if failures:
        lines = [f"  {failed.place}: {failed.reason}" for failed in failures]
        sections.append("failed:\n" + "\n".join(lines))
    return "\n\n".join(sections)


def table_latex(runs: Sequence[RunRecord]) -> str:
    """Return a tabular for each group, with the rules of the booktabs package."""
    return "\n".join(
        "\n".join([*(f"% {line}" for line in (group.title, *notes)), latex(table)])
        for group, notes, table in _tables(runs)
    )


def latex(table: Table) -> str:
    """Return one tabular."""
    header, rows = table
    lines = [" & ".join(map(escape.latex, line)) + r" \\" for line in (header, *rows)]
    columns = "l" + "r" * (len(header) - 1)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _tables(runs: Sequence[RunRecord]) -> list[tuple[Group, list[str], Table]]:
    """Return each group with what stands beside its FIDs, if that is on record, and its table."""
    return [(group, notes_of(members), main_table(series_of(members))) for group, members in grouped(runs).items()]


def main_table(series: Sequence[Series]) -> Table:
    """Return the cells of all runs of a group, then of published rows; columns that no run has are left out."""
    entries = [(line.legend, run, row) for line in series for run, row in _rows(line)]
    rows, runs = [row for _, _, row in entries], [run for line in series for run in line.runs]

    # Leave out what no run has.
    columns = {
        name: (cell, keys)
        for name, (cell, keys) in {**_COLUMNS, **_of_authors(rows, runs)}.items()
        if any(row.get(keys) is not None or keys == _NO_CAP for row in rows if keys in row)
    }
    if not any(row.get("nfe_backward") for row in rows):
        columns.pop("NFE backward", None)

    # Fill the cells.
    seeds = len({run.seed for _, run, _ in entries}) > 1
    header = ["method", *(["seed"] if seeds else []), *columns]
    cells = [
        [legend, *([run.seed] if seeds else []), *(cell(row) for cell, _ in columns.values())]
        for legend, run, row in entries
    ]
    for name, numbers in (entry for table in published_in(runs) for entry in table.entries()):
        shown = [f"{numbers[key]:g}" if key in numbers else "" for _, key in columns.values()]
        cells.append([name, *([""] if seeds else []), *shown])
    return header, cells


def _of_authors(rows: Sequence[Row], runs: Sequence[RunRecord]) -> dict[str, tuple[Callable[[Row], str], str]]:
    """Return the columns that no metric of `its` makes, in the order in which they come."""
    keys = dict.fromkeys(key for row in rows for key in row if not (key in _KNOWN or _OF_PARTS.fullmatch(key)))
    errors = {f"{key}_se" for key in keys}
    return {_header(key, runs): (_with_error(key), key) for key in keys if key not in errors}


def _header(key: str, runs: Sequence[RunRecord]) -> str:
    """Return the header of a column that no metric of `its` makes: of held-out verifiers, judges, searches, authors."""
    if key.startswith(VERDICT):
        return verdict_header(key)
    if key.startswith(NOTE):
        return escape.printable(note_header(key))
    return escape.printable(f"{scorer(key, runs)} ↑" if key.startswith(HELD_OUT) else key)


def verdict_header(key: str) -> str:
    """Return the header of a column of verdicts from outside."""
    name = key.removeprefix(VERDICT)
    return f"{name.removesuffix(BY_TAG)}, mean of tags ↑" if name.endswith(BY_TAG) else f"{name}, correct ↑"


def note_header(key: str) -> str:
    """Return the header of a column of what a search noted: the name that it gave, in words."""
    return key.removeprefix(NOTE).replace("_", " ")


def _rows(series: Series) -> list[tuple[RunRecord, Row]]:
    pairs = [(run, row) for run in series.runs for row in run.rows]
    return sorted(pairs, key=lambda pair: (len(pair[0].seed), pair[0].seed, cap_of(pair[1]).order))


def _cap(key: str) -> Callable[[Row], str]:
    return lambda row: "" if key not in row else "none" if row[key] is None else f"{row[key]:.0f}"


def _plain(key: str, digits: int) -> Callable[[Row], str]:
    return lambda row: "" if row.get(key) is None else f"{row[key]:.{digits}f}"


def _significant(key: str, scale: float = 1.0) -> Callable[[Row], str]:
    return lambda row: "" if row.get(key) is None else significant(row[key] * scale, digits=3)


def _with_error(key: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(key) is None else with_error(row[key], row.get(f"{key}_se"))


def with_error(value: float, error: float | None) -> str:
    """Return a value to two digits of its standard error, and that, as far as it is known."""
    if error is None or not math.isfinite(error):
        return f"{value:.3f}"
    digits = min(6, max(0, 1 - math.floor(math.log10(float(f"{error:.1e}"))))) if error > 0 else 3
    return f"{value:.{digits}f} ± {error:.{digits}f}"


_COLUMNS: dict[str, tuple[Callable[[Row], str], str]] = {
    **{CAP_HEADERS[currency]: (_cap(column), column) for currency, column in CAP_COLUMNS.items()},
    "NFE": (_plain("nfe", 1), "nfe"),
    "final NFE": (_plain("nfe_final", 1), "nfe_final"),
    "NFE backward": (_plain("nfe_backward", 1), "nfe_backward"),
    "verifier calls": (_plain("verifier_calls", 1), "verifier_calls"),
    "GFLOPs": (_significant("flops", 1e-9), "flops"),
    "s/image": (_significant("seconds"), "seconds"),
    "N": (_plain("images", 0), "images"),
    "reward ↑": (_with_error("reward_mean"), "reward_mean"),
    "pairwise distance ↑": (_with_error("pairwise"), "pairwise"),
    "FID ↓": (_with_error("fid"), "fid"),
    "FD-DINOv2 ↓": (_with_error("fd_dinov2"), "fd_dinov2"),
    "IS ↑": (_plain("isc", 2), "isc"),
    "precision ↑": (_plain("precision", 3), "precision"),
    "recall ↑": (_plain("recall", 3), "recall"),
    "accuracy ↑": (_with_error("accuracy"), "accuracy"),
    "NaN rewards": (_plain("nan_select", 0), "nan_select"),
    "±inf rewards": (_plain("inf_select", 0), "inf_select"),
    "NaN of the guide": (_plain("nan_guide", 0), "nan_guide"),
    "±inf of the guide": (_plain("inf_guide", 0), "inf_guide"),
    "oracle": (_plain(ORACLE, 0), ORACLE),
    "remote judge": (_plain(REMOTE, 0), REMOTE),
    "judge calls": (_plain(JUDGE_CALLS, 1), JUDGE_CALLS),
    "judge tokens": (_plain(JUDGE_TOKENS, 0), JUDGE_TOKENS),
    "edited sources": (_plain(EDITED, 0), EDITED),
}
"""Cell of a row and the key that it shows, by header."""


_KNOWN = {
    *COLUMNS,
    *LEDGER,
    "fd_dinov2_se",
    *(key for _, key in _COLUMNS.values()),
    "sfid",
    "sfid_se",
    "class_fid",
}
_OF_PARTS = re.compile(r"fid_class_\d+|reward_\w+_mean(_se)?|(nan|inf)_\w+")
"""Columns that a table leaves out: they are in `curve.csv`."""


def markdown(table: Table) -> str:
    """Return one table in Markdown."""
    header, rows = table
    rule = [":---", *["---:"] * (len(header) - 1)]
    return "\n".join(
        f"| {' | '.join(line)} |"
        for line in (map(escape.markdown, header), rule, *(map(escape.markdown, row) for row in rows))
    )


def _text(table: Table) -> str:
    header, rows = table
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["─" * width for width in widths], *rows]
    return "\n".join("  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines)
