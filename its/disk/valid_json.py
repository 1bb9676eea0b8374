"""JSON as other programs read it: a number that is missing is null, never NaN or Infinity."""

from __future__ import annotations

import json
import math
from typing import Any


def to_json(content: Any, *, indent: int | None = None, sort_keys: bool = False, default: Any = None) -> str:
    """Return JSON text of one value; floats that are not finite become null."""
    return json.dumps(finite(content), indent=indent, sort_keys=sort_keys, default=default, allow_nan=False)


def finite(content: Any) -> Any:
    """Return the same with None in place of every float that is not finite, at any depth."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite(value) for value in content]
    return content
