"""The runs, the lines and the metrics of a sweep that a person chose for a figure; what does not exist is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from its.budget import CAP_COLUMNS, LEDGER
from its.disk.columns import REMOTE
from its.disk.run_folder import EDITED
from its.report.runs import Group, RunRecord, grouped
from its.report.series import Series

ONE = Group._fields
"""What a figure has one of."""

SEVERAL = ("guidance", "verifier")
"""What a figure may have several of, each with its own line style; more than one must have been asked for."""

COSTS = ("nfe", "verifier_calls", "flops", "seconds")

NO_METRICS = frozenset((*LEDGER, *COSTS, *CAP_COLUMNS.values(), "images", EDITED, REMOTE))

MOST_NAMED = 30
"""Names that a refusal lists."""

Where = Mapping[str, Sequence[str]]
"""Values that runs must have, by key of `ONE` and `SEVERAL`."""


@dataclass(frozen=True)
class Choice:
    """The words of a person who wants a figure.

    Attributes:
        metrics: a panel each.
        cost: that they are drawn against, one of `COSTS`.
        methods: searches, or legends of single lines; empty for all.
        where: as in `images=1000 guidance=none,tfg`.
        labels: as in `random=Best-of-N fid=FID`.
    """

    metrics: Sequence[str] = ("fid",)
    cost: str = "nfe"
    methods: Sequence[str] = ()
    where: Sequence[str] = ()
    labels: Sequence[str] = ()


def read_where(words: Iterable[str]) -> Where:
    """Return the values of words as in `images=1000 guidance=none,tfg`.

    Raises:
        ValueError: a word is none such.
    """
    where = {}
    for word in words:
        key, sign, values = word.partition("=")
        if not sign or key not in (*ONE, *SEVERAL):
            raise ValueError(f"--where {word} is no key=value; {known(key, (*ONE, *SEVERAL))}")
        where[key] = values.split(",")
        if key in ONE and len(where[key]) > 1:
            raise ValueError(
                f"--where {word} has {len(where[key])} values; a figure has one for {key}, and may have several for "
                f"{' and '.join(SEVERAL)} alone"
            )
    return where


def read_labels(words: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Return the labels of words as in `random=Best-of-N`, by name.

    Raises:
        ValueError: a word does not begin with one of the names and an equals sign.
    """
    labels = {}
    for word in words:
        fitting = [name for name in names if word.startswith(f"{name}=")]
        if not fitting:
            raise ValueError(f"--labels {word} labels nothing of the figure; {known(word.partition('=')[0], names)}")
        name = max(fitting, key=len)
        labels[name] = word.removeprefix(f"{name}=")
    return labels


def chosen_runs(runs: Sequence[RunRecord], where: Where) -> list[RunRecord]:
    """Return the runs of one group that have the values asked for, each with the rows of that group alone.

    Raises:
        ValueError: a value is not among theirs, or they differ in a key that was left open.
    """
    # Keep what was asked for.
    chosen = [run for members in grouped(runs).values() for run in members]
    for key, choice in where.items():
        values = _values(chosen, key)
        for value in choice:
            if value not in values:
                raise ValueError(f"no run has {key}={value}; {known(value, values)}")
        chosen = [run for run in chosen if _value(run, key) in choice]

    # Refuse what is left open.
    open_keys = {
        key: values
        for key in (*ONE, *SEVERAL)
        if len(values := _values(chosen, key)) > 1 and (key in ONE or key not in where)
    }
    if open_keys:
        differ = " and ".join(f"{key} ({', '.join(values)})" for key, values in open_keys.items())
        first = " ".join(f"{key}={values[0]}" for key, values in open_keys.items())
        both = [f"{key}={','.join(values)}" for key, values in open_keys.items() if key in SEVERAL]
        lines = f", or {' '.join(both)} for lines of several styles" if both else ""
        raise ValueError(f"the runs differ in {differ}; say which, as in --where {first}{lines}")
    return chosen


def chosen_lines(series: Sequence[Series], names: Sequence[str]) -> list[int]:
    """Return the numbers of the lines that names stand for, in their order; of all lines if there is no name.

    Args:
        names: a search stands for all of its lines, a line's legend for that line.

    Raises:
        ValueError: a name is neither.
    """
    lines: dict[int, None] = {}
    for name in names:
        numbers = [number for number, line in enumerate(series) if name in (line.plain_search, line.legend)]
        if not numbers:
            raise ValueError(f"no method is {name}; {known(name, method_names(series))}")
        lines |= dict.fromkeys(numbers)
    return list(lines) if names else list(range(len(series)))


def method_names(series: Sequence[Series]) -> list[str]:
    """Return all names that stand for lines."""
    return list(dict.fromkeys(name for line in series for name in (line.plain_search, line.legend)))


def check_metrics(columns: Sequence[str], runs: Sequence[RunRecord]) -> None:
    """Refuse a column that is no metric of these runs.

    Raises:
        ValueError: one is not.
    """
    present = dict.fromkeys(
        column for run in runs for row in run.rows for column, value in row.items() if value is not None
    )
    metrics = [
        column
        for column in present
        if column not in NO_METRICS and not column.endswith("_se") and not column.startswith(("nan_", "inf_"))
    ]
    for column in columns:
        if column not in metrics:
            raise ValueError(f"the chosen runs have no metric {column}; {known(column, metrics)}")


def known(name: str, names: Sequence[str]) -> str:
    """Return what to say of a name that is not among the known ones: the nearest, and all of them."""
    nearest = get_close_matches(name, names, n=1)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    listed = ", ".join(names[:MOST_NAMED]) or "none"
    return f"{f'did you mean {nearest[0]}? ' if nearest else ''}there are {listed}{more}"


def _values(runs: Iterable[RunRecord], key: str) -> list[str]:
    values = {_value(run, key) for run in runs}
    return sorted(values, key=lambda value: (len(value), value) if key == "images" else (0, value))


def _value(run: RunRecord, key: str) -> str:
    if key in ("images", "prompts"):
        return str(getattr(run, key))
    return run.guidance if key == "guidance" else run.label[key]
