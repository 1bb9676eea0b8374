"""The folders of all runs at or below a place."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from its.disk.run_folder import CONFIG, FAILURE, SCHEDULE, SUMMARY, RunFolder


def run_folders(folder: Path) -> Iterator[RunFolder]:
    """Yield every run at or below a folder, in the order of their paths; what lies below a run belongs to it.

    Links to folders are followed. A run that several ways lead to counts once, by the way without a link if it has one.
    """
    met, runs, starts = set[str](), list[Path](), deque([folder])
    while starts:
        for path, folders, files in os.walk(starts.popleft()):
            place, is_run = os.path.realpath(path), bool({CONFIG, SUMMARY, FAILURE, SCHEDULE} & {*files, *folders})
            runs += [Path(path)] if is_run and place not in met else []
            folders[:] = [] if is_run or place in met else [name for name in sorted(folders) if name != "wandb"]
            met.add(place)
            starts += [link for name in folders if (link := Path(path, name)).is_symlink()]
    yield from map(RunFolder, sorted(runs))
