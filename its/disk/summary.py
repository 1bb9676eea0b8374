"""Whether a run is finished, and with which curve: read from its `metrics.json` alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SUMMARY = "schedule.json"
"""Of a schedule search, written last: its presence means that the search is finished."""


def read_curve(folder: Path, **wanted: Any) -> list[dict[str, Any]] | None:
    """The rows of a finished run; None unless its summary says just what is wanted of it.

    Args:
        wanted: entries of the summary, such as `images` and `measured`; of `pool`, true serves false as well.
    """
    try:
        summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    same = all(
        summary.get(key) == value or (key == "pool" and summary.get(key, False) >= value)
        for key, value in wanted.items()
    )
    return summary["curve"] if same else None
