"""What has become of the runs below a folder: finished, running, failed with its reason, or missing shards.

    python scripts/status.py <out_dir>/<experiment>
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import yaml

RECENT_S = 120.0
"""A run that wrote a file this recently is taken to be running."""


def status(folder: Path) -> str:
    """One run's state in one line."""
    shards = len(list((folder / "shards").glob("*.safetensors")))
    if (folder / "metrics.json").exists():
        summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        return f"finished  {summary['images']} images, {shards} shards"
    if (folder / "failed.json").exists():
        reason = json.loads((folder / "failed.json").read_text(encoding="utf-8"))["reason"]
        return f"failed    {shards} shards are there; {reason}"
    newest = max((path.stat().st_mtime for path in folder.rglob("*") if path.is_file()), default=0.0)
    state = "running " if time.time() - newest < RECENT_S else "stopped "
    size = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["shard"]
    return f"{state}  {shards} shards of {size} images are there; the same command goes on"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    runs = sorted(path.parent for path in folder.rglob("config.yaml"))
    if not runs:
        raise SystemExit(f"no runs below {folder.absolute()}; give <out_dir>/<experiment>")
    for run in runs:
        print(f"{status(run)}\n  {run.relative_to(folder)}")


if __name__ == "__main__":
    main()
