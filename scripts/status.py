"""Say how far the runs below a folder are: finished, in SLURM's queue, running, failed (and why), stopped, damaged.

python scripts/status.py <out_dir>/<experiment>
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from its.disk.run_folder import RunFolder, run_folders
from its.process.command import Parser, command
from its.report.escape import printable

RECENT_S = 120.0
"""A run that wrote a file this recently is taken to be running."""


def status(run: RunFolder, queued: str | None = None) -> str:
    """Return a run's state in one line.

    Args:
        queued: the state of the job that is to make it, and the job, if there is one.
    """
    files = f"{len(run.set_names)} sets" if run.set_names else f"{len(run.shard_names)} shards"
    if run.state == "finished":
        try:
            images = f"{run.read_summary()['images']} images, " if os.path.lexists(run.summary) else ""
        except (KeyError, ValueError) as error:
            return f"damaged   {files} are there; {printable(str(error))}" + (f"; {queued}" if queued else "")
        return f"finished  {images}{files}" + (f"; {queued}" if queued else "")
    if queued:
        return f"{queued}; {files} are there"
    if run.state == "failed":
        return f"failed    {files} are there; {printable(' '.join(run.read_failure().split()))}"
    newest = max((path.stat().st_mtime for path in run.path.rglob("*") if path.is_file()), default=0.0)
    state = "running " if time.time() - newest < RECENT_S else "stopped "
    try:
        size = run.read_config().get("shard")
    except (FileNotFoundError, ValueError) as error:
        return f"{state}  {files} are there; {printable(str(error))}"
    return f"{state}  {files}{f' of {size} images' if size else ''} are there; the same command goes on"


def queued_jobs(experiment: Path) -> Mapping[Path, str]:
    """Return the state and number of every living job that some run below the folder waits for, by the run's folder."""
    from its.cluster.sweep import RECORDS, read_jobs
    from its.process.slurm import Unreachable, queue

    records = [run for folder in sorted(experiment.rglob(RECORDS)) for run in read_jobs(folder.parent)]
    if not records:
        return {}
    try:
        states = queue()
    except Unreachable as error:
        print(f"SLURM does not answer: {error}\n")
        return {}
    return {Path(str(run.folder)): f"{states[run.job]:<9} job {run.job}" for run in records if run.job in states}


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    queued = queued_jobs(folder)
    runs = sorted({run.path for run in run_folders(folder)} | queued.keys())
    if not runs:
        raise ValueError(f"no runs below {folder}; give <out_dir>/<experiment>")
    lines = [status(RunFolder(run), queued.get(run)) for run in runs]
    for run, line in zip(runs, lines, strict=True):
        print(f"{line}\n  {printable(str(run.relative_to(folder) if run.is_relative_to(folder) else run))}")
    print(", ".join(f"{count} {state}" for state, count in Counter(line.split()[0] for line in lines).items()))


if __name__ == "__main__":
    main()
