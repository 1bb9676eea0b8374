"""Text that ends with its own checksum, so that a changed or lost byte is noticed: JSON, its lines, and YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from its.disk.valid_json import to_json

CHECK = "check"
"""Last key of an entry of JSON: the checksum of the text before it."""

_LAST_VALUE = re.compile(r'"[0-9a-f]{16}"\s*\}\s*$')
_COMMENT = "# sha256 of the lines above: "


def sealed(entry: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Return an entry as JSON that ends with its checksum: a line, or with `indent` a file."""
    body = to_json(entry, indent=indent, sort_keys=True)[:-1].rstrip("\n")
    return body + _seal(body)


def unsealed(text: str) -> dict[str, Any]:
    """Return the entry of JSON that `sealed` made; one that an earlier version wrote, without a checksum, is believed.

    Raises:
        ValueError: it is no JSON object, or not what was written.
    """
    try:
        entry = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is no JSON of ours") from error
    if not isinstance(entry, dict):
        raise ValueError("it holds no JSON object")

    # One mark of a checksum is enough: damage may have hit the other.
    body = text.rpartition(",")[0]
    if (CHECK in entry or _LAST_VALUE.search(text)) and text != body + _seal(body):
        raise ValueError("its checksum is not that of its content")
    entry.pop(CHECK, None)
    return entry


def sealed_yaml(text: str) -> str:
    """Return YAML with its checksum as a last line of comment."""
    return f"{text}{_COMMENT}{sha256(text.encode()).hexdigest()}\n"


def is_sealed_yaml(text: str) -> bool:
    """Return whether YAML is what `sealed_yaml` made."""
    return text == sealed_yaml(text.rpartition(_COMMENT)[0])


def says_sealed(text: str) -> bool:
    """Return whether YAML has a checksum, right or wrong."""
    return _COMMENT in text


def _seal(body: str) -> str:
    """Return what follows a body: its checksum, and the end of the line or file that it is."""
    space, end = ("\n ", "\n}\n") if "\n" in body else (" ", "}\n")
    return f',{space}"{CHECK}": "{sha256(body.encode()).hexdigest()[:16]}"{end}'
