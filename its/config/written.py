"""Finds the file and line of an entry of a configuration, for errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from yaml import MarkedYAMLError

from its.config.searchpath import yaml_of

REMEDIES = {
    "'\\t'": "indent by spaces, not by tabs",
    "mapping values": "here or a line above, put a space behind the colon, and keys of one node into one column",
    "duplicate key": "keep one of the two",
    "end of stream": "close every quote and bracket",
}
"""What to do, by a part of what the reader of YAML says."""


def unreadable(error: MarkedYAMLError) -> str:
    """Return what is said of a file that is no YAML: its name, the line, and what to do."""
    mark, problem = error.problem_mark or error.context_mark, str(error.problem or error)
    remedy = next((text for part, text in REMEDIES.items() if part in problem), "quote a text that has signs of YAML")
    return f"{mark.name}, line {mark.line + 1}: {problem}; {remedy}" if mark else str(error)


def line_of(path: str, choices: Mapping[str, str], places: Sequence[Path]) -> str:
    """Return `<file>, line <n>: ` for a dotted key, `<file>: ` where only its choice is known, or nothing.

    Args:
        choices: the YAML chosen in each group.
        places: folders of choices behind `conf/`.
    """
    place = ""
    for group, choice in sorted(choices.items(), key=lambda item: item[0] != "experiment"):
        name, _, package = group.partition("@")
        node = (package or name).replace("/", ".")
        inside = path if name == "experiment" else path.removeprefix(f"{node}.") if path.startswith(f"{node}.") else ""
        for file in yaml_of(name, choice, places)[:1]:
            if inside and (line := _line(yaml.compose(file.read_text(encoding="utf-8")), inside.split("."))):
                return f"{file}, line {line}: "
            place = f"{file}: " if f"{path}.".startswith(f"{node}.") else place
    return place


def _line(node: yaml.Node | None, keys: Sequence[str]) -> int:
    """Return the line of a key below a node of YAML, or 0."""
    line = 0
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        pair = next(((name, value) for name, value in pairs if name.value == key), None)
        if pair is None:
            return 0
        line, node = pair[0].start_mark.line + 1, pair[1]
    return line
