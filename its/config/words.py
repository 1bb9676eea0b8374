"""The words of a command line: read by Hydra's grammar, and with every place in them absolute.

What is recorded and what is handed on, to workers and to jobs of a cluster, then means the same in any folder.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException

from its.config import plugins
from its.config.searchpath import FILE, SEARCHPATH

LISTS = {plugins.KEY: ("packages", "/path/to/my_methods"), SEARCHPATH: ("folders", f"{FILE}/path/to/conf")}
"""Lists of places: of what, and an example."""

HOME = re.compile(r"(?:(?<=[\[,\s'\"])|(?<=://))~(?=[/\],\s'\"])")
"""The home folder, which a shell writes out in front of a word, not within one."""

BARE = re.compile(r"[\w./:@+-]+")
"""What needs no quotes in a list."""


def in_full(words: Sequence[str]) -> list[str]:
    """Return words with every place that `plugins` and `hydra.searchpath` list absolute.

    Raises:
        ValueError: one of these is no list.
    """
    return [_in_full(word) if key_of(word) in LISTS else word for word in words]


def listed(words: Sequence[str], key: str) -> list[str]:
    """Return what words list under a key, places in full, the last of them; nothing if there is none.

    Raises:
        ValueError: it is no list.
    """
    lists = [_entries(word) for word in in_full(words) if key_of(word) == key]
    return lists[-1] if lists else []


def check_grammar(words: Sequence[str], *, sweeps: bool) -> None:
    """Refuse words that Hydra cannot read, and texts with commas that it would take for several values.

    Args:
        sweeps: whether a word may stand for several runs.

    Raises:
        ValueError: the message says how to write it.
    """
    for number, word in enumerate(words):
        override = _parsed(word, words[:number], words[number + 1 :])
        value = override.value()
        if override.is_sweep_override() and not sweeps:
            key, _, given = word.partition("=")
            raise ValueError(
                f"{word} has several values; for several runs add -m, for a list write {key}=[{given}], and for one "
                f"text {_as_text(key, given)}"
            )
        if isinstance(value, ChoiceSweep) and value.simple_form and any(map(_is_phrase, value.list)):
            key, _, given = word.partition("=")
            raise ValueError(
                f"{word} is one text, or several runs; quote the text, {_as_text(key, given)}, or each of several"
            )


def with_whole_nodes(words: Sequence[str]) -> list[str]:
    """Return words in which a node that is given with its `_target_` takes the former one's place.

    Hydra would merge the two, and entries of the former class are not the new one's.
    """
    whole: list[str] = []
    for word in words:
        override = _parsed(word)
        value = None if override.is_sweep_override() else override.value()
        key, is_node = override.key_or_group, isinstance(value, dict) and "_target_" in value
        if is_node and override.type is OverrideType.CHANGE:
            whole += [f"~{key}=null", f"+{key}={override.get_value_element_as_str()}"]  # as a sweep writes them
        else:
            whole.append(word)
    return whole


def key_of(word: str) -> str:
    """Return the key of a word, without what adds, forces or deletes it."""
    return word.partition("=")[0].lstrip("+~").strip()


def _parsed(word: str, before: Sequence[str] = (), after: Sequence[str] = ()) -> Override:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise ValueError(f"{word} cannot be read; {_remedy(word, before, after)}") from error


def _remedy(word: str, before: Sequence[str], after: Sequence[str]) -> str:
    """Say how a word would be written that Hydra's grammar does not have, by itself or with those beside it."""
    # Words that a space has parted.
    key, equals, value = (part.strip() for part in word.partition("="))
    behind = [*takewhile(lambda other: "=" not in other.lstrip("="), after)]
    if not equals and behind[:1] and behind[0].startswith("="):
        return f"write {word}{''.join(behind[:2] if behind[0] == '=' else behind[:1])}, without spaces"
    if not equals and before and before[-1].endswith("="):
        return f"write {before[-1]}{word}, without spaces"
    if value.endswith(",") and behind:
        return f"for several values write {word}{behind[0]}, for one text {_as_text(key, ' '.join([value, *behind]))}"

    # A word that is none.
    if not equals and ":" in word:
        return f"write {word.replace(':', '=', 1).replace(' ', '')}"
    if not equals:
        begun = [*takewhile(lambda other: "=" not in other, reversed(before))]
        key, _, first = before[-len(begun) - 1].partition("=") if len(begun) < len(before) else ("key", "", "")
        text = " ".join([first, *reversed(begun), word, *behind])
        return f"a word is key=value; if this belongs to a text, quote it: {_as_text(key, text)}"

    # A key with a space, and values with signs.
    if key != word.partition("=")[0]:
        return f"write {key}={value}, with no space before the equals sign"
    if value[:1] in ("[", "{"):
        return "close every bracket that it opens, and quote texts in it that have other signs than letters and digits"
    return f"quote what is a text: {_as_text(key, value)}"


def _as_text(key: str, value: str) -> str:
    """Return the word, as a shell takes it, whose value is one text."""
    bare = value.strip().strip("\"'") if value.strip()[:1] in ("'", '"') else value.strip()
    text = bare.replace("\\", "\\\\").replace('"', '\\"')
    return shlex.quote(f'{key}="{text}"')


def _is_phrase(value: object) -> bool:
    return isinstance(value, str) and " " in value


def _in_full(word: str) -> str:
    word = HOME.sub(str(Path.home()), word)
    entries = _entries(word)
    full = [_absolute(entry, key_of(word)) for entry in entries]
    return word if full == entries else f"{word.partition('=')[0]}=[{','.join(map(_quoted, full))}]"


def _entries(word: str) -> list[str]:
    override = _parsed(word)
    value = None if override.is_sweep_override() else override.value()
    if not isinstance(value, list):
        key, _, given = word.partition("=")
        what, example = LISTS[key_of(word)]
        entry = given if isinstance(value, str) and value else example
        raise ValueError(f"{word} is no list of {what}; write {key}=[{entry}] once, for every job")
    return [str(entry) for entry in value]


def _absolute(entry: str, key: str) -> str:
    if key == plugins.KEY:
        return os.path.abspath(Path(entry).expanduser()) if plugins.is_place(entry) else entry
    if "://" in entry and not entry.startswith(FILE):
        return entry
    path = entry.removeprefix(FILE) if entry.startswith(FILE) else re.sub("^file:/", "/", entry)
    return FILE + os.path.abspath(Path(path).expanduser())


def _quoted(entry: str) -> str:
    return entry if BARE.fullmatch(entry) else QuotedString(entry, Quote.single).with_quotes()
