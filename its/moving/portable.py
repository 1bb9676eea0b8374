"""The small files of a run as a stranger may have them: without places and names of the machine that made it.

Weights and packages are named by their last part alone; their content is on record. What decides the images and is a
place of this machine cannot be left out, and is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from its.config.rules import PROMPT
from its.config.secrets import check_secrets
from its.disk.records import FILES, read_config
from its.disk.run_folder import RunFolder
from its.disk.sealed import sealed, sealed_yaml
from its.process.command import joined
from its.process.source_tree import ROOT

HOST = "host"
"""Entry of a line of timing that names a machine."""

OF_PROMPT = "dataset.images.prompt"
"""Entry of a configuration that is a prompt, which may begin as a place does: /imagine a cat."""

PLACE = re.compile(r"(?:file://)?(?:/|~[\w.-]*/)")
"""The beginning of a text that is a place of one machine."""

INNER_PLACE = re.compile(r"(?<![\w./:~-])(?:file://)?~?/(?:[\w.@+=-]+/)+(?=[\w.@+=-])")
"""A place within a sentence, but for its last part."""


def config_text(files: RunFolder) -> str:
    """Return `config.yaml` with the last part of each place of weights.

    Raises:
        ValueError: another place stands in it, or two weights would have one name.
    """
    config = read_config(files.config)
    names = {name: _last(name) for name in config.get("weights", {}) if PLACE.match(name)}
    if len({*names.values()}) < len(names):
        raise ValueError(
            f"weights {', '.join(names)} of {files.config} have one name in different folders; a pack names them by "
            "their last part: rename one"
        )
    renamed = _renamed(config, names)
    for place, text in _texts(renamed):
        if PLACE.match(text) and place != OF_PROMPT:
            raise ValueError(
                f"{place} of {files.config} is {text}, which is a place of this machine and decides the images; places "
                "do not go into a pack: declare it as its.Weights, which count by their content"
            )
    return sealed_yaml(yaml.safe_dump(renamed, sort_keys=True))


def timing_text(files: RunFolder) -> str:
    """Return `timing.jsonl` without the names of hosts."""
    notes = ({key: value for key, value in note.items() if key != HOST} for note in files.store.notes())
    return "".join(map(sealed, notes))


def summary_without_places(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's summary without places, and without the sha256 of its small files, which become others."""
    texts = {key: _without_places(value) for key, value in summary.items() if key not in ("command", FILES)}
    return {**texts, "command": command_without_places(str(summary["command"]))}


def command_without_places(command: str) -> str:
    """Return a command in which each place is its last part; plugins and the like are then the reader's to find."""
    return joined([_word_without_places(word) for word in shlex.split(command)])


def require_portable(name: str, text: str) -> None:
    """Refuse a small file that names a place of this machine, or holds a secret of this process.

    Raises:
        ValueError: naming the file.
    """
    check_secrets(text, path=name)
    for place in (Path.home(), ROOT, Path.cwd()):
        if place != Path("/") and re.search(rf"{re.escape(str(place))}(?![\w-])", text):
            raise ValueError(f"{name} names {place}, a place of this machine, which does not go into a pack")


def _last(place: str) -> str:
    return PurePosixPath(place.removeprefix("file://")).name


def _word_without_places(word: str) -> str:
    """Return a word of a command with the last part of each place that it, or a list in it, consists of."""
    if word.startswith(f"{PROMPT}="):
        return word
    key, sign, value = word.rpartition("=") if PLACE.match(word.rpartition("=")[2]) else word.partition("=")
    if not sign:
        return _last(word) if PLACE.match(word) else word
    parts = re.split(r"([\[\],'\"{}]|: )", value)
    return key + sign + "".join(_last(part) if PLACE.match(part) else part for part in parts)


def _without_places(value: Any) -> Any:
    if isinstance(value, str):
        return INNER_PLACE.sub("", value)
    if isinstance(value, Mapping):
        return {key: _without_places(each) for key, each in value.items()}
    return [_without_places(each) for each in value] if isinstance(value, list) else value


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, Mapping):
        return {names.get(key, key): _renamed(value, names) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(value, names) for value in node]
    return names.get(node, node) if isinstance(node, str) else node


def _texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key and text below a node, with its place."""
    for key, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        below = f"{place}.{key}".lstrip(".")
        yield below, str(key)
        yield from [(below, value)] if isinstance(value, str) else _texts(value, below)
