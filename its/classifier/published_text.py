"""Texts that a judge was trained with, read where its authors keep them: as strings in a file of Python.

Such a file is never run. Its texts decide scores as weights do, to the last space.
"""

from __future__ import annotations

import ast
from pathlib import Path

from its.weights import locate


def strings(source: str, *names: str) -> list[str]:
    """Return the strings that a file of Python assigns to names, in the order of `names`.

    Args:
        source: the file.

    Raises:
        ValueError: it is no Python, or assigns no string to a name, or several.
    """
    values: dict[str, list[str]] = {}
    for statement in ast.walk(_parsed(source)):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            for target in statement.targets:
                if isinstance(target, ast.Name) and isinstance(statement.value.value, str):
                    values.setdefault(target.id, []).append(statement.value.value)
    for name in names:
        if len(values.get(name, [])) != 1:
            raise ValueError(f"{source} assigns {len(values.get(name, []))} strings to {name}; take its authors' file")
    return [values[name][0] for name in names]


def around(source: str, field: str) -> tuple[str, str]:
    """Return the texts before and behind the field of the one f-string of a file of Python that has it, and no other.

    Raises:
        ValueError: it is no Python, or has no such f-string, or several.
    """
    found = []
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.JoinedStr):
            fields = [part for part in node.values if isinstance(part, ast.FormattedValue)]
            names = [part.value.id if isinstance(part.value, ast.Name) else "" for part in fields]
            if names == [field] and fields[0].format_spec is None and fields[0].conversion == -1:
                place = node.values.index(fields[0])
                found.append((_joined(node.values[:place]), _joined(node.values[place + 1 :])))
    if len(found) != 1:
        raise ValueError(f"{source} has {len(found)} f-strings of {field} alone; take its authors' file, which has one")
    return found[0]


def _joined(parts: list[ast.expr]) -> str:
    return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


def _parsed(source: str) -> ast.Module:
    path: Path = locate(source)
    try:
        return ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError, RecursionError, OSError) as error:
        raise ValueError(f"{source} is no file of Python ({type(error).__name__}); take its authors' file") from error
