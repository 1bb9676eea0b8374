"""The words of a command line: read by Hydra's grammar, and with every place in them absolute.

What is recorded and what is handed on, to workers and to jobs of a cluster, then means the same in any folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString

from its.config import plugins

SEARCHPATH = "hydra.searchpath"
FILE = "file://"

LISTS = {plugins.KEY: ("packages", "/path/to/my_methods"), SEARCHPATH: ("folders", f"{FILE}/path/to/conf")}
"""Lists of places: of what, and an example."""

HOME = re.compile(r"(?:(?<=[\[,\s'\"])|(?<=://))~(?=[/\],\s'\"])")
"""The home folder, which a shell writes out in front of a word, not within one."""

BARE = re.compile(r"[\w./:@+-]+")
"""What needs no quotes in a list."""


def parsed(word: str) -> Override:
    """Read a word by Hydra's grammar.

    Raises:
        HydraException: it is badly formed.
    """
    return OverridesParser.create().parse_override(word)


def in_full(words: Sequence[str]) -> list[str]:
    """Return words with every place that `plugins` and `hydra.searchpath` list absolute.

    Raises:
        ValueError: one of these is no list.
    """
    return [_in_full(word) if _key(word) in LISTS else word for word in words]


def listed(words: Sequence[str], key: str) -> list[str]:
    """Return what words list under a key, places in full, the last of them; nothing if there is none.

    Raises:
        ValueError: it is no list.
    """
    lists = [_entries(word) for word in in_full(words) if _key(word) == key]
    return lists[-1] if lists else []


def with_whole_nodes(words: Sequence[str]) -> list[str]:
    """Return words in which a node that is given with its `_target_` takes the former one's place.

    Hydra would merge the two, and entries of the former class are not the new one's.
    """
    whole: list[str] = []
    for word in words:
        override = parsed(word)
        value = None if override.is_sweep_override() else override.value()
        key, is_node = override.key_or_group, isinstance(value, dict) and "_target_" in value
        if is_node and override.type is OverrideType.CHANGE:
            whole += [f"~{key}=null", f"+{key}={override.get_value_element_as_str()}"]  # as a sweep writes them
        else:
            whole.append(word)
    return whole


def _in_full(word: str) -> str:
    word = HOME.sub(str(Path.home()), word)
    entries = _entries(word)
    full = [_absolute(entry) for entry in entries]
    return word if full == entries else f"{word.partition('=')[0]}=[{','.join(map(_quoted, full))}]"


def _entries(word: str) -> list[str]:
    override = parsed(word)
    value = None if override.is_sweep_override() else override.value()
    if not isinstance(value, list):
        key, _, given = word.partition("=")
        what, example = LISTS[_key(word)]
        entry = given if isinstance(value, str) and value else example
        raise ValueError(f"{word} is no list of {what}; write {key}=[{entry}] once, for every job")
    return [str(entry) for entry in value]


def _absolute(entry: str) -> str:
    scheme, path = (FILE, entry.removeprefix(FILE)) if entry.startswith(FILE) else ("", entry)
    if not scheme and ("://" in entry or not plugins.is_place(entry)):
        return entry
    return scheme + os.path.abspath(Path(path).expanduser())


def _quoted(entry: str) -> str:
    return entry if BARE.fullmatch(entry) else QuotedString(entry, Quote.single).with_quotes()


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+").strip()
