"""Modules as files, found as Python finds them but without importing anything, so that no foreign code runs."""

from __future__ import annotations

import ast
import sys
from functools import cache
from importlib import invalidate_caches
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from pkgutil import get_importer


@cache
def spec_of(module: str) -> ModuleSpec | None:
    """Find a module; unlike importlib's own search, this imports no package on the way."""
    package, _, _ = module.rpartition(".")
    if not package:
        try:
            return find_spec(module) if module else None
        except ValueError:  # a module without a spec, such as __main__
            return None
    parent, portions = spec_of(package), []
    for place in (parent.submodule_search_locations or ()) if parent else ():
        finder = get_importer(place)
        spec = finder.find_spec(module) if finder else None
        if spec is not None and spec.loader is not None:
            return spec
        portions += list(spec.submodule_search_locations or ()) if spec else []
    if not portions:
        return None

    # A folder without __init__.py is a package too.
    spec = ModuleSpec(module, None, is_package=True)
    spec.submodule_search_locations = portions
    return spec


def search_also(folder: Path) -> None:
    """Have Python search a folder for modules, behind all that it searches already."""
    sys.path.append(str(folder))
    invalidate_caches()
    spec_of.cache_clear()


def file_of(module: str) -> Path | None:
    """Return the file of a module; None if there is no such module, or it has no file."""
    spec = spec_of(module)
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def modules_of(package: str) -> set[str]:
    """Return every module of a package that has a file in it."""
    spec = spec_of(package)
    found = set()
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for path in Path(place).rglob("*.py"):
            parts = path.relative_to(place).with_suffix("").parts
            found.add(".".join((package, *parts)).removesuffix(".__init__"))
    return found


def absolute(module: str, statement: ast.ImportFrom) -> str:
    """Resolve the module that a `from` statement in `module` names."""
    if not statement.level:
        return statement.module or ""
    spec = spec_of(module)
    package = module if spec and spec.submodule_search_locations else module.rpartition(".")[0]
    for _ in range(statement.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{statement.module}" if statement.module else package
