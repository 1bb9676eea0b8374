"""A folder for temporary files, which libraries ask for while they are imported: where there is none, one of ours."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)


def need_temporary_folder(place: Path) -> None:
    """See that this process and its children have a temporary folder; below `place` if the machine's are full.

    Raises:
        OSError: nothing can be written there either.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        folder = place / ".tmp"
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        log.warning("%s; %s is used", error.strerror, folder)
