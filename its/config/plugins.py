"""Packages of one's own, as `plugins=[...]` lists them: an installed one by its name, any other by its place.

A place is the package's own folder, with or without `__init__.py`, or a single `.py` file. Python finds it behind
everything else, so a name that something else has already would never be this package's: it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from its.process.modules import search_also, spec_of
from its.process.source_tree import ROOT

KEY = "plugins"

PACKAGE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

CLONE = (str(ROOT), str(ROOT / "scripts"))
"""Folders of which Python searches one, by which script was called."""


def name_of(entry: str) -> str:
    """Return the name of the package that an entry stands for."""
    return Path(entry).name.removesuffix(".py") if is_place(entry) else entry


def is_place(entry: str) -> bool:
    """Return whether an entry is a place, and no name."""
    return "/" in entry or entry.startswith(("~", ".")) or entry.endswith(".py")


def reach(entries: Sequence[str]) -> None:
    """Have Python find the packages of these entries, whose places are absolute, behind all that it finds already.

    Raises:
        ValueError: a place holds no package, or a package of that name is elsewhere; the message says what to do.
    """
    for entry in entries:
        if is_place(entry):
            _reach(Path(entry))
        elif not PACKAGE.fullmatch(entry):
            raise ValueError(f"{KEY} lists {entry!r}, which is neither the name of a package nor its folder")
        elif spec_of(entry.partition(".")[0]) is None:
            raise ValueError(
                f"{KEY} lists {entry}, and no package of that name is installed; give the package's own folder: "
                f"{KEY}=[{Path(entry).absolute() if Path(entry).is_dir() else f'/path/to/{entry}'}]"
            )


def _reach(place: Path) -> None:
    _check_place(place)
    name = name_of(str(place))
    _check_name(name, place)
    if not _places(find_spec(name)):
        search_also(place.parent)
        _check_name(name, place)


def _check_name(name: str, place: Path) -> None:
    """Refuse a name that Python finds at another place, or that means something in this clone."""
    specs = [find_spec(name), *(PathFinder.find_spec(name, [folder]) for folder in CLONE)]
    for other in (other for spec in specs for other in _places(spec)):
        if Path(other).resolve() != place.resolve():
            raise ValueError(
                f"{KEY} lists {place}, and Python finds another {name} first: {other}; rename yours, so that one name "
                "is one package"
            )


def _check_place(place: Path) -> None:
    """Refuse a place at which there is no package that Python can import by its name."""
    name = name_of(str(place))
    if not place.exists():
        raise ValueError(f"{KEY} lists {place}, and nothing is there; give a package's own folder, or its one .py file")
    if not name.isidentifier() or iskeyword(name) or name.startswith("__"):
        raise ValueError(
            f"{KEY} lists {place}, and Python cannot import a package called {name!r}; call it by letters, "
            "digits and _, such as my_methods"
        )
    if not (place.suffix == ".py" if place.is_file() else any((*place.glob("*.py"), *place.glob("*/*.py")))):
        raise ValueError(f"{KEY} lists {place}, in which there is no .py file; give the folder in which your code lies")


def _places(spec: ModuleSpec | None) -> list[str]:
    """Return the folders of a package, or the file of a module."""
    folders = spec.submodule_search_locations if spec else ()
    return [str(spec.origin)] if spec and folders is None else [*map(str, folders or ())]
