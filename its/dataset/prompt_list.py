"""Lists of prompts in files: text, CSV, TSV, JSON and JSONL, of which every prompt is taken to the letter.

A folder of such files is one list, in which the name of a file, without its ending, is one more column.

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
"""Number of a line, or of an entry, from 1, and its entries by column."""

Placed = tuple[str, Mapping[str, Any]]
"""Where a row stands, in words, and its entries by column."""

PROMPT = "a prompt"
"""The only column of a text, and of a JSON or JSONL of bare texts."""

FILE = "file"
"""Column of a folder's rows that the name of their file stands in."""


def read_prompts(
    path: Path, column: str | None, category: str | None, files: Sequence[str] | None = None
) -> tuple[list[str], list[str | None]]:
    """Return the prompts of a list and their categories, None without.

    Args:
        column: that holds the prompts; None where there is only one. category: that holds the categories, if any.
        files: see `rows_of`.

    Raises:
        ValueError: the file is no such list, a column is none of its own, or a prompt is empty.
    """
    rows = rows_of(path, files)
    columns = list(dict.fromkeys(name for _, row in rows for name in row))
    texts = [name for name in columns if not (name == FILE and path.is_dir())]

    # Find the columns.
    if column is None and len(texts) > 1:
        raise ValueError(f"{path} has the columns {_listed(texts)}; say which holds the prompts: dataset.column=...")
    named = texts[0] if column is None else column
    for key, name, there in (("column", named, texts), ("category", category, columns)):
        if name is not None and name not in there:
            raise ValueError(f"dataset.{key} is {name!r}, and {path} has {_columns(name, there)}")

    prompts = [_prompt(place, row, named) for place, row in rows]
    return prompts, [None if category is None else _category(place, row, category) for place, row in rows]


def rows_of(path: Path, files: Sequence[str] | None = None) -> list[Placed]:
    """Return the rows of a file, or of all files of a folder one after the other.

    Args:
        files: the names of all files of a folder, in the order of the list; None is all that there are, by name.

    Raises:
        ValueError: it is no such list, or there are other files in the folder.
    """
    if not path.is_dir():
        if files is not None:
            raise ValueError(f"dataset.files names the files of a folder, and {path} is one file; leave it out")
        return _rows_of_file(path)
    return [
        (place, {**row, FILE: file.stem})
        for file in _files_of(path, files)
        for place, row in _without_file(_rows_of_file(file))
    ]


def _rows_of_file(path: Path) -> list[Placed]:
    if path.suffix.lower() not in READERS:
        raise ValueError(f"{path} is none of {', '.join(READERS)}, and what it holds is told by that; rename it")
    unit = "entry" if path.suffix.lower() == ".json" else "line"
    rows = [(f"{path}, {unit} {k}", row) for k, row in READERS[path.suffix.lower()](path, _text(path))]
    if not rows:
        raise ValueError(f"{path} holds no prompt; give another list")
    return rows


def _files_of(folder: Path, files: Sequence[str] | None) -> list[Path]:
    """Return the files of a folder in the order of its list.

    Raises:
        ValueError: they are others than those that are named, or there are none.
    """
    present = sorted(path.name for path in folder.iterdir())
    named = present if files is None else list(files)
    for name in (*present, *named):
        if name not in named:
            raise ValueError(
                f"{folder} holds {name}, which is none of dataset.files, and a folder is one list: keep those in a "
                "folder of their own, with nothing else in it"
            )
        if name not in present or named.count(name) > 1:
            raise ValueError(f"dataset.files names {name}, which is not there once in {folder}; correct it")
    if not named:
        raise ValueError(f"{folder} holds no list of prompts; give another folder")
    return [folder / name for name in named]


def _without_file(rows: Sequence[Placed]) -> Sequence[Placed]:
    """Return rows that have no column of the name that their file's is given.

    Raises:
        ValueError: one has.
    """
    if clash := next((place for place, row in rows if FILE in row), None):
        raise ValueError(f"{clash}: in a folder of lists the column {FILE!r} is the file's name; rename this one")
    return rows


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
        yield number, _of_json_entry(f"{path}, line {number}", entry)


def _of_json(path: Path, text: str) -> Iterator[Row]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: this is no JSON ({error}); it is one list") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path} is a {type(entries).__name__}; it is a list of texts, or of objects")
    for number, entry in enumerate(entries, start=1):
        yield number, _of_json_entry(f"{path}, entry {number}", entry)


def _of_json_entry(place: str, entry: Any) -> Mapping[str, Any]:
    if not isinstance(entry, dict | str):
        raise ValueError(f"{place}: it is a {type(entry).__name__}; it is one object, or a text")
    return entry if isinstance(entry, dict) else {PROMPT: entry}


READERS: Mapping[str, Callable[[Path, str], Iterator[Row]]] = {
    ".txt": _of_text,
    ".csv": _of_csv,
    ".tsv": _of_tsv,
    ".json": _of_json,
    ".jsonl": _of_jsonl,
}
"""Readers by the ending of a file's name."""


def _prompt(place: str, row: Mapping[str, Any], column: str) -> str:
    try:
        return checked(row.get(column))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


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


def _category(place: str, row: Mapping[str, Any], column: str) -> str:
    category = row.get(column)
    if not isinstance(category, str | int) or not str(category).strip():
        raise ValueError(f"{place}: its {column} is {category!r}; name the prompt's category")
    return str(category)


def _columns(name: str, columns: Sequence[str]) -> str:
    """Return the columns that there are, the nearest one first."""
    if list(columns) == [PROMPT]:
        return "no columns; leave it out"
    near = get_close_matches(name, columns, 1)
    return f"{_listed(columns)}{f'; did you mean {near[0]}?' if near else ''}"


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns[:20]))
