"""Folders of choices: `conf/`, and behind it those that a command line adds by `hydra.searchpath`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from its.process.modules import spec_of
from its.process.source_tree import ROOT

CONF = ROOT / "conf"
SEARCHPATH = "hydra.searchpath"
FILE, PACKAGE = "file://", "pkg://"

GROUPS = frozenset(file.parent.relative_to(CONF).as_posix() for file in CONF.glob("*/**/*.yaml"))


def folders(entries: Sequence[str]) -> list[Path]:
    """Return the folders that entries name, in full, each of which holds the folder of a group.

    Raises:
        ValueError: one does not; Hydra would pass over it. The message says what to do.
    """
    checked = dict.fromkeys(_checked(entry) for entry in entries)
    return [folder for folder in checked if folder.resolve() != CONF.resolve()]


def yaml_of(group: str, choice: str, places: Sequence[Path]) -> list[Path]:
    """Return the YAMLs of a choice, in `conf/` and behind it."""
    return [file for place in (CONF, *places) if (file := place / group / f"{choice}.yaml").is_file()]


def check_once(choices: Mapping[str, str], places: Sequence[Path]) -> None:
    """Refuse a choice that two folders have, of which Hydra would take the first.

    Raises:
        ValueError: naming both.
    """
    for group, choice in choices.items():
        files = yaml_of(group.partition("@")[0], choice, places)
        if len(files) > 1:
            raise ValueError(f"{group}={choice} is {files[0]}, and {files[1]} too; give your choice a name of its own")


def _checked(entry: str) -> Path:
    folder = _folder(entry)
    if not folder.is_dir():
        raise ValueError(
            f"{SEARCHPATH} names {entry}, and there is no such folder{_beside(folder)}; give the full path of the "
            f"folder in which search/, model/ and the like lie, after {FILE}"
        )
    if not _has_group(folder):
        raise ValueError(
            f"{SEARCHPATH} names {entry}, which holds no folder of a group such as search/ or model/{_instead(folder)}"
        )
    return folder


def _folder(entry: str) -> Path:
    if not entry.startswith(PACKAGE):
        return Path(entry.removeprefix(FILE))
    module = entry.removeprefix(PACKAGE).replace("/", ".")
    spec = spec_of(module)
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise ValueError(
            f"{SEARCHPATH} names {entry}, and there is no package {module}; give a folder, {FILE}/path/to/conf"
        )
    return Path(places[0])


def _has_group(folder: Path) -> bool:
    return any((folder / group).is_dir() for group in GROUPS)


def _beside(folder: Path) -> str:
    """Name the folder that may be meant by one that is not there."""
    there = [path.name for path in folder.parent.glob("*/")] if folder.parent.is_dir() else []
    return "".join(f"; did you mean {folder.parent / name}?" for name in get_close_matches(folder.name, there, 1))


def _instead(folder: Path) -> str:
    """Say which folder may be meant, or what is missing in this one."""
    if folder.name in GROUPS:
        return f"; it is one: give the folder that holds it, {FILE}{folder.parent}"
    inside = [path for path in sorted(folder.glob("*/")) if _has_group(path)]
    if inside:
        return f"; give {FILE}{inside[0]}"
    for path in sorted(folder.glob("*/")):
        for group in get_close_matches(path.name, GROUPS, 1):
            return f"; {path.name}/ is none: call it {group}/"
    loose = [path.name for path in sorted(folder.glob("*.y*ml"))]
    return f"; move {loose[0]} into the folder of its group" if loose else "; make one, with your YAML in it"
