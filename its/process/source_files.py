"""The files that modules are made from, by content: their own, those beside them, and those of what they import.

Nothing is imported. A module is followed if it belongs to the same package as one that is named, or is not installed:
what lies in site-packages or in Python itself is known by its version.
"""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from sysconfig import get_paths
from typing import Self

from its.disk.files import DamagedFile, read_file
from its.disk.run_folder import RunFolder
from its.process.beside import files_beside, parsed, strings
from its.process.modules import absolute, file_of, modules_of, spec_of

log = logging.getLogger(__name__)

FACE = "its"
"""The package that shows names of its rooms and loads those that are asked for; it is passed through."""

DIGITS = 12
"""Hex digits of a source's name and of a file's digest."""

BY_NAME = (b"importlib", b"__import__", b"pkgutil", b"runpy")
"""In a module that imports what no statement names; it counts with its package, and with what its strings name."""


@dataclass(frozen=True)
class SourceFiles:
    """Files by content.

    Attributes:
        digests: of each file, by its module's name, with `:<path>` for one that the module reads beside itself.
    """

    digests: Mapping[str, str]

    @classmethod
    def of(cls, modules: Iterable[str], apart: Callable[[str], bool] = lambda module: False) -> Self:
        """Take modules and all that they import.

        Args:
            apart: whether a module is neither taken nor followed, unless it is named.
        """
        reached = _reached(tuple(modules), apart)
        beside = {f"{module}:{file}" for module in reached for file in files_beside(module)}
        return cls({name: digest_of(name) for name in reached | beside})

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `text` wrote.

        Raises:
            ValueError: it is no such text.
        """
        return cls({module: digest for digest, module in (line.split(maxsplit=1) for line in text.splitlines())})

    @cached_property
    def text(self) -> str:
        """A line for each file, in order: its digest and its module."""
        return "".join(f"{self.digests[module]} {module}\n" for module in sorted(self.digests))

    @cached_property
    def name(self) -> str:
        """The name of the whole: a hash of its text."""
        return sha256(self.text.encode()).hexdigest()[:DIGITS]

    @property
    def is_here(self) -> bool:
        """True if every file is here as it was."""
        return all(digest_of(module) == digest for module, digest in self.digests.items())

    def without(self, other: Self) -> Self:
        """Return those files that are not also another's."""
        return type(self)({module: self.digests[module] for module in self.digests.keys() - other.digests.keys()})

    def differences(self, other: Self) -> list[str]:
        """Return the names of files that are not the same in both."""
        modules = self.digests.keys() | other.digests.keys()
        return sorted(module for module in modules if self.digests.get(module) != other.digests.get(module))


def listed(files: RunFolder, name: str) -> SourceFiles | None:
    """Return the files of a source on record; None if their list is gone or, with a warning, damaged."""
    path = files.source(name)
    try:
        content = read_file(path)
    except DamagedFile:
        content = b""
    if content is None:
        return None
    if sha256(content).hexdigest()[:DIGITS] != name:
        log.warning("%s is damaged, so the files of that source are not known", path)
        return None
    return SourceFiles.read(content.decode())


@cache
def digest_of(name: str) -> str:
    """Return the digest of a file by its name as this process first found it, which is what it runs; `absent` if gone.

    Args:
        name: as in `SourceFiles.digests`.
    """
    module, _, beside = name.partition(":")
    path = file_of(module)
    path = path.parent / beside if path is not None and beside else path
    return sha256(path.read_bytes()).hexdigest()[:DIGITS] if path is not None and path.is_file() else "absent"


def _reached(named: tuple[str, ...], apart: Callable[[str], bool]) -> set[str]:
    """Return the modules that are reached from those named and have a file."""
    packages = {_top(module) for module in named}
    pending, seen = list(named), set[str]()
    while pending:
        module = pending.pop()
        own = _top(module) in packages or not _installed(_top(module))
        if module in seen or module == FACE or not own or (module not in named and apart(module)):
            continue
        seen.add(module)
        pending += _imported(module)
    return {module for module in seen if file_of(module) is not None}


@cache
def _installed(package: str) -> bool:
    """Return whether a package comes with Python or was installed, or is not here at all."""
    spec = spec_of(package)
    places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec else []
    return not places or any(_in_python(Path(place)) for place in places)


def _in_python(path: Path) -> bool:
    libraries = (get_paths()[key] for key in ("stdlib", "platstdlib"))
    return (
        not path.is_absolute()  # built in, or frozen
        or not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
        or any(path.is_relative_to(library) for library in libraries)
    )


@cache
def _imported(module: str) -> frozenset[str]:
    """Return the modules that a module imports, anywhere in it, and the packages that it lies in."""
    packages = {module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)}
    path = file_of(module)
    if path is None or path.suffix != ".py":
        return frozenset(packages)
    found = {name for statement in _statements(parsed(path).body) for name in _named(module, statement)}
    if any(word in path.read_bytes() for word in BY_NAME):
        dotted = filter(re.compile(r"[A-Za-z_]\w*(\.\w+)*").fullmatch, strings(path))
        found |= modules_of(_top(module)) | {name for name in dotted if spec_of(name)}
    return frozenset(packages | found)


def _named(module: str, statement: ast.stmt) -> Iterator[str]:
    """Yield the modules that an import statement of `module` names, in which a name comes from where it is defined."""
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.name
            yield from _shown(_top(alias.name), module)
    elif isinstance(statement, ast.ImportFrom):
        source = absolute(module, statement)
        yield source
        for alias in statement.names:
            if alias.name == "*":
                yield from _shown(source, module)
            elif spec_of(f"{source}.{alias.name}") is not None:
                yield f"{source}.{alias.name}"
            elif alias.name in (lazily := _lazy_names(source)):
                yield lazily[alias.name]


def _shown(package: str, module: str) -> Iterator[str]:
    """Yield where those lazy names of a package come from that stand in a module which imports the package whole."""
    path = file_of(module)
    nodes = [*ast.walk(parsed(path))] if path else []
    words = {getattr(node, "id", None) or getattr(node, "attr", None) for node in nodes}
    yield from (place for name, place in _lazy_names(package).items() if name in words)


@cache
def _lazy_names(package: str) -> dict[str, str]:
    """Return where the names come from that a package imports for type checkers alone: it loads them when asked."""
    path = file_of(package)
    followed = _top(package) == FACE or not _installed(_top(package))
    if path is None or path.name != "__init__.py" or not followed:
        return {}
    guarded = [part for part in parsed(path).body if _is_for_type_checkers(part)]
    imports = [inner for part in guarded for inner in part.body if isinstance(inner, ast.ImportFrom)]  # type: ignore[attr-defined]
    return {alias.name: absolute(package, statement) for statement in imports for alias in statement.names}


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield every statement at or below these, but for those that only type checkers see."""
    for statement in body:
        yield statement
        if not _is_for_type_checkers(statement):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _statements(getattr(statement, field, ()))
        else:
            yield from _statements(statement.orelse)  # type: ignore[attr-defined]


def _is_for_type_checkers(statement: ast.AST) -> bool:
    if not isinstance(statement, ast.If):
        return False
    test = statement.test
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))


def _top(module: str) -> str:
    return module.partition(".")[0]
