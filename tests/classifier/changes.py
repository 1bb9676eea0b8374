"""Every small change to a JSON file of somebody else: entries that are gone, other, or of another kind."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

OTHERS = {"quick_gelu": "gelu", "gelu": "relu", "silu": "gelu", "NFC": "NFKC", "Lowercase": "NFC"}
"""Values that a reader takes as well, and that decide numbers."""


def changes(entries, place=()) -> Iterator[tuple[str, object]]:
    """Yield what was changed, and the entries with that change."""
    items = [*entries.items()] if isinstance(entries, dict) else [*enumerate(entries)]
    for key, value in items:
        here = (*place, key)
        for name, other in others(value):
            yield f"{'.'.join(map(str, here))} {name}", replaced(entries, key, other)
        if isinstance(entries, dict):
            yield f"{'.'.join(map(str, here))} gone", {k: v for k, v in entries.items() if k != key}
        if isinstance(value, dict | list) and len(value) < 30:
            for what, inner in changes(value, here):
                yield what, replaced(entries, key, inner)
    if isinstance(entries, dict):
        yield f"{'.'.join(map(str, (*place, 'surprise')))} new", {**entries, "surprise": 3}


def replaced(entries, key, value):
    other = copy.copy(entries)
    other[key] = value
    return other


def others(value) -> Iterator[tuple[str, object]]:
    """Yield other values in the place of one, each with its name."""
    if isinstance(value, bool):
        yield "is the other", not value
    elif isinstance(value, int) and value < 2**31:
        yield from (("is one more", value + 1), ("is twice", 2 * value))
    elif isinstance(value, float):
        yield "is larger", 1.5 * value + 0.01
    elif isinstance(value, str):
        yield "is other", OTHERS.get(value, f"{value}x")
    elif value is None:
        yield from (("is 1", 1), ("is true", True))
    elif isinstance(value, list) and value:
        yield from (("is shorter", value[:-1]), ("is turned", value[::-1]))
    if value is not None:
        yield "is null", None


def files_with(path: Path) -> Iterator[str]:
    """Change a file in every way, one after the other; yield what was changed while it is so."""
    text = path.read_text()
    try:
        for what, entries in changes(json.loads(text)):
            path.write_text(json.dumps(entries))
            yield what
    finally:
        path.write_text(text)
