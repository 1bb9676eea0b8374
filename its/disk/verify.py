"""Reading of every byte of a finished run, for `verify=true`; a record, names and sizes do not tell all."""

from __future__ import annotations

import os
from collections.abc import Iterator

from its.disk.records import read_record
from its.disk.run_folder import RunFolder


def verify(run: RunFolder) -> list[str]:
    """Return a sentence on each damaged file of arrays; small ones are read in any case."""
    return list(run.store.damage().values())


def verify_others(run: RunFolder) -> Iterator[str]:
    """Yield a sentence on each damaged file of the renderings and rescored curves below a run."""
    for other in map(RunFolder, sorted({*run.rescored.glob("*/"), *run.renders.glob("*/")})):
        yield from other.store.damage().values()
        try:
            whole = other.is_whole(read_record(next(filter(os.path.lexists, other.records), other.summary)))
        except (FileNotFoundError, ValueError):
            whole = False
        if not whole:
            yield f"{other.path} is damaged or unfinished; the script that made it makes it again"
