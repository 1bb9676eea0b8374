"""Files that a module reads beside itself, as far as its strings name them: tables, settings, code that is executed.

Nothing is imported. `Path(__file__).parent / "tables" / f"{name}.json"` names every `.json` in `tables`.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from its.process.modules import file_of

READS = (b"__file__", b"__path__", b"resources", b"get_data")
"""In a module that knows where it lies."""

_PATTERN = re.compile(r"(?!/|.*\*\*)(?=.*\w)[\w.*/+-]{1,200}")


@cache
def files_beside(module: str) -> frozenset[str]:
    """Return the files that a module's strings name, relative to its folder.

    They are looked for in that folder, in those of the packages that it lies in, and in folders that its strings name.
    """
    path = file_of(module)
    if path is None or path.suffix != ".py" or not any(word in path.read_bytes() for word in READS):
        return frozenset()
    patterns = set(filter(_PATTERN.fullmatch, strings(path)))
    depth = module.count(".") + (path.name == "__init__.py")
    places, seen, found = [path.parent, *path.parents[1:depth]], set[Path](), set[str]()
    while places:
        place = places.pop().resolve()
        if place not in seen:
            seen.add(place)
            there = [match for pattern in patterns for match in place.glob(pattern)]
            places += filter(Path.is_dir, there)
            found |= {os.path.relpath(match, path.parent.resolve()) for match in there if match.is_file()}
    return frozenset(found)


def strings(path: Path) -> Iterator[str]:
    """Yield the strings in a module's source, of a formatted one a pattern with `*` for what is put in."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)


@cache
def parsed(path: Path) -> ast.Module:
    """Parse a module's source; one that is not Python is empty."""
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return ast.Module([], [])
