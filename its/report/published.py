"""Numbers that others have published, as an experiment's YAML has them: they stand below ours, and never among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from its import parameters
from its.report.escape import printable

FIRST = ("search", "verifier", "nfe")
"""The columns with which a table begins; those that follow are columns of a curve."""

NONE = "none"


@dataclass(frozen=True)
class PublishedTable:
    """A table of published numbers.

    Attributes:
        source: paper and table.
        dataset, model: choices of the runs that it is shown beside.
        images: that each of its numbers is of.
        columns: `FIRST`, then columns of a curve.
        rows: two texts, then numbers, one for each column.
    """

    source: str
    dataset: str
    model: str
    images: int
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]

    def __post_init__(self) -> None:
        parameters.check(self, "published", images=1)
        if tuple(self.columns[: len(FIRST)]) != FIRST or len(set(self.columns)) < len(self.columns):
            raise ValueError(
                f"published.columns is {list(self.columns)!r}; they are {', '.join(FIRST)} and columns of curve.csv, "
                "each once"
            )
        for row in self.rows:
            texts, numbers = row[:2], row[2:]
            whole = len(row) == len(self.columns) and all(parameters.fits(each, float) for each in numbers)
            if not whole or not all(isinstance(each, str) for each in texts):
                raise ValueError(f"published.rows has {list(row)!r}; a row is two texts and a number for each column")

    @classmethod
    def of(cls, entry: Any) -> Self:
        """Make a table of an entry of `published`, or of a run's summary; texts are made printable.

        Raises:
            ValueError: it lacks a key, has another, or breaks a rule.
        """
        keys = [field.name for field in fields(cls)]
        if not isinstance(entry, Mapping) or set(entry) != set(keys):
            raise ValueError(f"published has {entry!r}; a table has {', '.join(keys)}, and nothing else")
        return cls(**_printable(dict(entry)))

    @property
    def note(self) -> str:
        """The line that stands above a table with its rows."""
        return f"published: {self.source}, of {self.images:,} images; measured with other software, not here"

    def entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each row: what it is called, and its numbers by column."""
        for search, verifier, *numbers in self.rows:
            by = "" if verifier == NONE else f" ({verifier})"
            of_columns = dict(zip(self.columns[2:], numbers, strict=True))
            yield f"published: {search}{by}", {"images": self.images, **of_columns}


def tables_of(entries: Any) -> tuple[PublishedTable, ...]:
    """Make the tables of a configuration's or a summary's `published`.

    Raises:
        ValueError: it is no list of tables.
    """
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise ValueError(f"published is {entries!r}; it is a list of tables, [] for none")
    return tuple(map(PublishedTable.of, entries))


def _printable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _printable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(each) for each in value]
    return printable(value) if isinstance(value, str) else value
