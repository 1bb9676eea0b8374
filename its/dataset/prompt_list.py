"""Lists of prompts in files: text, CSV, TSV and JSONL, of which every prompt is taken to the letter.

Nothing is stripped, changed or guessed, for each of that changes an image: what a file leaves open is refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

Row = tuple[int, Mapping[str, Any]]
"""Number of a line, from 1, and its entries by column."""

PROMPT = "a prompt"
"""The only column of a text, and of a JSONL of bare texts."""


def read_prompts(path: Path, column: str | None, category: str | None) -> tuple[list[str], list[str | None]]:
    """Return the prompts of a file and their categories, None without.

    Args:
        column: that holds the prompts; None where there is only one. category: that holds the categories, if any.

    Raises:
        ValueError: the file is no such list, a column is none of its own, or a prompt is empty.
    """
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path} is none of {', '.join(READERS)}, and what it holds is told by that; rename it")
    rows = list(READERS[path.suffix.lower()](path, _text(path)))
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    if not rows:
        raise ValueError(f"{path} holds no prompt; give another list")

    # Find the columns.
    if column is None and len(columns) > 1:
        raise ValueError(f"{path} has the columns {_listed(columns)}; say which holds the prompts: dataset.column=...")
    named = columns[0] if column is None else column
    for key, name in (("column", named), ("category", category)):
        if name is not None and name not in columns:
            raise ValueError(f"dataset.{key} is {name!r}, and {path} has {_columns(name, columns)}")

    prompts = [_prompt(path, line, row, named) for line, row in rows]
    return prompts, [None if category is None else _category(path, line, row, category) for line, row in rows]


def _text(path: Path) -> str:
    """Return the text of a file.

    Raises:
        ValueError: it is not in UTF-8.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: this is no UTF-8 ({error.reason}); save the list in UTF-8") from error


def _lines(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Yield lines that are not blank with their numbers; only a line feed ends one, with or without a return.

    Raises:
        ValueError: a carriage return stands alone.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if "\r" in (content := line.removesuffix("\r")):
            raise ValueError(
                f"{path}, line {number}: it holds a carriage return, which may end a line; write line feeds"
            )
        if content.strip():
            yield number, content


def _of_text(path: Path, text: str) -> Iterator[Row]:
    return ((number, {PROMPT: line}) for number, line in _lines(path, text))


def _of_csv(path: Path, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    cells: list[tuple[int, list[str]]] = []
    try:
        cells.extend((reader.line_num, row) for row in reader if row)
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: this is no CSV ({error}); correct its quotes") from error
    yield from _table(path, cells)


def _of_tsv(path: Path, text: str) -> Iterator[Row]:
    """Yield the rows of tab-separated values, which know no quotes (IANA's text/tab-separated-values)."""
    cells = [(number, line.split("\t")) for number, line in _lines(path, text)]
    for number, row in cells:
        quoted = [cell for cell in row if len(cell) > 1 and cell[0] == cell[-1] == '"']
        if quoted:
            raise ValueError(
                f"{path}, line {number}: {quoted[0][:60]!r} is in quotes, which TSV does not know and spreadsheets "
                "write; whether they belong to the prompt cannot be told: save it as CSV"
            )
    yield from _table(path, cells)


def _table(path: Path, cells: Sequence[tuple[int, list[str]]]) -> Iterator[Row]:
    """Yield the rows below a header.

    Raises:
        ValueError: a column is there twice, or a row has more or fewer cells than the header.
    """
    header = cells[0][1] if cells else []
    if twice := [name for name in header if header.count(name) > 1]:
        raise ValueError(f"{path} has two columns {twice[0]!r}; rename one")
    for number, row in cells[1:]:
        if len(row) != len(header):
            raise ValueError(f"{path}, line {number}: it has {len(row)} cells, and the header {len(header)}")
        yield number, dict(zip(header, row, strict=True))


def _of_jsonl(path: Path, text: str) -> Iterator[Row]:
    for number, line in _lines(path, text):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: this is no JSON ({error}); a line is one object") from error
        if not isinstance(entry, dict | str):
            raise ValueError(f"{path}, line {number}: it is a {type(entry).__name__}; a line is one object, or a text")
        yield number, entry if isinstance(entry, dict) else {PROMPT: entry}


READERS: Mapping[str, Callable[[Path, str], Iterator[Row]]] = {
    ".txt": _of_text,
    ".csv": _of_csv,
    ".tsv": _of_tsv,
    ".jsonl": _of_jsonl,
}
"""Readers by the ending of a file's name."""


def _prompt(path: Path, line: int, row: Mapping[str, Any], column: str) -> str:
    try:
        return checked(row.get(column))
    except ValueError as error:
        raise ValueError(f"{path}, line {line}: {error}") from error


def checked(prompt: Any) -> str:
    """Return a prompt as it is.

    Raises:
        ValueError: it is no text, an empty one, or not what UTF-8 can hold.
    """
    if not isinstance(prompt, str):
        raise ValueError(f"the prompt is {prompt!r}; it is a text, in quotes where it looks like something else")
    if not prompt.strip():
        raise ValueError("the prompt is empty; write one, or leave the line out")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the prompt holds half of a character ({error.reason}); correct it") from error
    return prompt


def _category(path: Path, line: int, row: Mapping[str, Any], column: str) -> str:
    category = row.get(column)
    if not isinstance(category, str | int) or not str(category).strip():
        raise ValueError(f"{path}, line {line}: its {column} is {category!r}; name the prompt's category")
    return str(category)


def _columns(name: str, columns: Sequence[str]) -> str:
    """Return the columns that there are, the nearest one first."""
    if list(columns) == [PROMPT]:
        return "no columns; leave it out"
    near = get_close_matches(name, columns, 1)
    return f"{_listed(columns)}{f'; did you mean {near[0]}?' if near else ''}"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns[:20]))
