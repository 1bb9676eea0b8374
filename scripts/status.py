"""Say how far the runs below a folder are, and who works on them.

python scripts/status.py <out_dir>/<experiment>

finished, failed (and why), damaged: what the run's files say. running: a process of this machine, or a job, is at work.
killed: its process is dead and had no time to say so. stopped: nobody works on it. silent: a process of another machine
was at work, and nothing here can tell whether it still is. In capitals: the state of its job in SLURM's queue.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from its.disk.run_folder import RunFolder
from its.disk.run_folders import run_folders
from its.process.alive import Life, Process, processes
from its.process.command import Parser, command
from its.process.progress import in_words
from its.process.slurm import Unreachable, queue
from its.report.escape import printable

GOES_ON = "the same command goes on"


def status(run: RunFolder, queued: str | None = None, jobs: Mapping[str, str] | None = None) -> str:
    """Return a run's state in one line.

    Args:
        queued: the state of the job that is to make it, and the job, if there is one.
        jobs: states of this user's jobs in SLURM's queue by their numbers; None if that cannot be known.
    """
    # Who works on it.
    files = f"{len(run.set_names)} sets" if run.set_names else f"{len(run.shard_names)} shards"
    signs = [(process, life(process, jobs)) for process in processes(run.path)]
    running = [process for process, state in signs if state == "running"]
    if running:
        progress = f"{in_words(process.work for process in running)}; {files} are there"
        return f"{queued}; {progress}" if queued else f"running   {progress}; {', '.join(map(_place, running))}"

    # How it ended, unless somebody went on and was lost.
    last = max((os.lstat(path).st_mtime for path in (*run.records, run.failure) if os.path.lexists(path)), default=0.0)
    lost = [(process, state) for process, state in signs if time.time() - process.silent > last]
    if run.state == "finished" and not lost:
        return _finished(run, files) + (f"; {queued}" if queued else "")
    if queued:
        return f"{queued}; {files} are there"
    if lost:
        return f"{_lost(*lost[-1])}; {files} are there; {GOES_ON}"
    if run.state == "failed":
        return f"failed    {files} are there; {printable(' '.join(run.read_failure().split()))}"
    return _stopped(run, files)


def life(process: Process, jobs: Mapping[str, str] | None) -> Life:
    """Return what became of a process; a job of one's own that the queue does not show, or not as running, is over."""
    if process.life != "unknown" or not process.job or jobs is None or process.user != os.getuid():
        return process.life
    return "running" if jobs.get(process.job, "").startswith(("RUNNING", "COMPLETING")) else "killed"


def _place(process: Process) -> str:
    job = f" of job {process.job}" if process.job else ""
    return f"process {process.pid} on {printable(process.host)}{job}"


def _lost(process: Process, state: Life) -> str:
    """Return what is known of the last process that was at work, which no file tells the end of."""
    if state == "killed":
        return f"killed    {_place(process)} is gone, and could not say why"
    return f"silent    last sign of life {process.silent / 60:.0f} minutes ago: {_place(process)}"


def _finished(run: RunFolder, files: str) -> str:
    try:
        images = f"{run.read_summary()['images']} images, " if os.path.lexists(run.summary) else ""
    except (KeyError, ValueError) as error:
        return f"damaged   {files} are there; {printable(str(error))}"
    return f"finished  {images}{files}"


def _stopped(run: RunFolder, files: str) -> str:
    try:
        size = run.read_config().get("shard")
    except (FileNotFoundError, ValueError) as error:
        return f"stopped   {files} are there; {printable(str(error))}"
    return f"stopped   {files}{f' of {size} images' if size else ''} are there; {GOES_ON}"


def submitted(experiment: Path) -> dict[Path, str]:
    """Return the number of the latest job that was submitted for each run below a folder."""
    from its.cluster.sweep import RECORDS, read_jobs

    records = [run for folder in sorted(experiment.rglob(RECORDS)) for run in read_jobs(folder.parent)]
    return {Path(str(run.folder)): str(run.job) for run in records}


def queue_of(numbers: Iterable[str]) -> Mapping[str, str] | None:
    """Return the states of jobs in SLURM's queue; None if there is no job to ask for, or no answer, which is said."""
    if not any(numbers):
        return None
    try:
        return queue()
    except Unreachable as error:
        print(f"SLURM does not answer: {error}\n")
        return None


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()

    # Ask the queue for the jobs that were submitted, and those whose processes cannot be seen from here.
    folders = {run.path for run in run_folders(folder)}
    job_of = submitted(folder)
    unseen = [process.job for run in folders for process in processes(run) if process.life == "unknown"]
    jobs = queue_of([*job_of.values(), *unseen])
    queued = {run: f"{jobs[job]:<9} job {job}" for run, job in job_of.items() if jobs and job in jobs}

    # Say how far each run is.
    runs = sorted(folders | queued.keys())
    if not runs:
        raise ValueError(f"no runs below {folder}; give <out_dir>/<experiment>")
    lines = [status(RunFolder(run), queued.get(run), jobs) for run in runs]
    for run, line in zip(runs, lines, strict=True):
        print(f"{line}\n  {printable(str(run.relative_to(folder) if run.is_relative_to(folder) else run))}")
    print(", ".join(f"{count} {state}" for state, count in Counter(line.split()[0] for line in lines).items()))


if __name__ == "__main__":
    main()
