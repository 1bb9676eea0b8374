"""Reading of every byte of a finished run, for `verify=true`; sizes alone tell little of a disk that forgets."""

from __future__ import annotations

import os

from its.disk.records import read_record
from its.disk.run_folder import RunFolder


def verify(run: RunFolder) -> list[str]:
    """Return a sentence that names each damaged file of arrays, and set those aside.

    The small files are read whenever a run is asked whether it is finished.
    """
    return run.store.verify()


def verify_others(run: RunFolder) -> list[str]:
    """Return a sentence that names each damaged file of the renderings and rescored curves below a run."""
    sentences = []
    for other in map(RunFolder, sorted({*run.rescored.glob("*/"), *run.renders.glob("*/")})):
        sentences += other.store.verify()
        try:
            whole = other.is_whole(read_record(next(filter(os.path.lexists, other.records), other.summary)))
        except (FileNotFoundError, ValueError):
            whole = False
        if not whole:
            sentences.append(f"{other.path} is damaged or unfinished; the script that made it makes it again")
    return sentences
