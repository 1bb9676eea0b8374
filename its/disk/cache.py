"""The folder of what is worth keeping from one command to the next: nothing in it decides a result, all may go."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

CACHE = "ITS_CACHE"
"""Environment variable with the folder; default: `~/.cache/its`."""


def cache_folder() -> Path:
    """Return the folder of what is kept; a temporary one for a user without a home."""
    try:
        return Path(os.environ.get(CACHE) or "~/.cache/its").expanduser()
    except RuntimeError:
        return Path(tempfile.gettempdir(), "its")
