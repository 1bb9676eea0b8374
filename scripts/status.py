"""What has become of the runs below a folder: finished, in SLURM's queue, running, failed with its reason, or stopped.

python scripts/status.py <out_dir>/<experiment>
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

RECENT_S = 120.0
"""A run that wrote a file this recently is taken to be running."""


def status(folder: Path, queued: str | None = None) -> str:
    """One run's state in one line.

    Args:
        queued: the state of the job that is to make it, and the job, if there is one.
    """
    sets = len(list((folder / "sets").glob("*/*.safetensors")))
    shards = f"{sets} sets" if sets else f"{len(list((folder / 'shards').glob('*.safetensors')))} shards"
    if (folder / "metrics.json").exists():
        summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return f"finished  {summary['images']} images, {shards}" + (f"; {queued}" if queued else "")
    if (folder / "schedule.json").exists():
        return f"finished  {shards}" + (f"; {queued}" if queued else "")
    if queued:
        return f"{queued}; {shards} are there"
    if (folder / "failed.json").exists():
        reason = json.loads((folder / "failed.json").read_text(encoding="utf-8"))["reason"]
        return f"failed    {shards} are there; {reason}"
    newest = max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)
    state = "running " if time.time() - newest < RECENT_S else "stopped "
    size = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")).get("shard")
    return f"{state}  {shards}{f' of {size} images' if size else ''} are there; the same command goes on"


def queued_jobs(experiment: Path) -> Mapping[str, str]:
    """The state and number of every living job that some run below the folder waits for, by the run's folder."""
    from its.cluster.sweep import RECORDS, read_jobs
    from its.process.slurm import Unreachable, queue

    records = [job for records in sorted(experiment.rglob(RECORDS)) for job in read_jobs(records.parent)]
    if not records:
        return {}
    try:
        states = queue()
    except Unreachable as error:
        print(f"SLURM does not answer: {error}\n")
        return {}
    return {str(run.folder): f"{states[run.job]:<9} job {run.job}" for run in records if run.job in states}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    queued = queued_jobs(folder)
    runs = sorted(
        {path.parent for path in folder.rglob("config.yaml") if "wandb" not in path.relative_to(folder).parts}
        | {path.parent for path in folder.rglob("failed.json")}
        | {Path(run) for run in queued}
    )
    if not runs:
        raise SystemExit(f"no runs below {folder}; give <out_dir>/<experiment>")
    lines = [status(run, queued.get(str(run))) for run in runs]
    for run, line in zip(runs, lines, strict=True):
        print(f"{line}\n  {run.relative_to(folder) if run.is_relative_to(folder) else run}")
    print(", ".join(f"{count} {state}" for state, count in Counter(line.split()[0] for line in lines).items()))


if __name__ == "__main__":
    main()
