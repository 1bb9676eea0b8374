"""Reading of every byte of a finished run, for `verify=true`; a record, names and sizes do not tell all."""

from __future__ import annotations

import os
from collections.abc import Iterator

from its.disk.files import set_aside
from its.disk.records import read_record, sha256_of
from its.disk.run_folder import RunFolder


def verify(run: RunFolder) -> list[str]:
    """Return a sentence on each damaged file of arrays; small ones are read in any case."""
    return list(run.store.damage().values())


def verify_others(run: RunFolder) -> Iterator[str]:
    """Set aside what is damaged in renderings and rescored curves below a run; yield a sentence on each of these."""
    for other in map(RunFolder, sorted({*run.rescored.glob("*/"), *run.renders.glob("*/")})):
        sound = _is_whole(other)
        damage = {other.path / name: sentence for name, sentence in other.store.damage().items()}
        damage |= {path: f"{path} is damaged" for path in other.sources if not sha256_of(path).startswith(path.stem)}
        for path, sentence in damage.items():
            set_aside(path, sentence)
        if damage or not sound:
            yield f"{other.path} is damaged or unfinished; the script that made it makes it again"


def _is_whole(run: RunFolder) -> bool:
    """Return whether a folder has the record that makes it finished, and all that this tells of."""
    try:
        return run.is_whole(read_record(next(filter(os.path.lexists, run.records), run.summary)))
    except (FileNotFoundError, ValueError):
        return False
