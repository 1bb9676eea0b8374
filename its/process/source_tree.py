"""Which source runs: the commit and a hash of the tree, fixed when jobs are submitted and checked when they start.

export ITS_SOURCE=$(python -m its.process.source_tree)     before `sbatch`, where no launcher does it
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

VARIABLE = "ITS_SOURCE"
ROOT = Path(__file__).parents[2]
_PARTS = ("run.py", "its/**/*.py", "conf/**/*.yaml", "hydra_plugins/**/*.py")


def source(root: Path = ROOT) -> str:
    """`<commit>:<hash of the tree>`; the commit is `none` outside a git clone.

    The hash is over code and configuration, with their paths; weights are part of a run's identity already.
    """
    found = {path for part in _PARTS for path in root.glob(part)}
    digest = sha256()
    for path in sorted(found):
        digest.update(f"{path.relative_to(root)}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{_commit(root)}:{digest.hexdigest()[:16]}"


def check_source(*, allow_edited: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Stop a job that starts on another source than it was submitted with.

    Raises:
        ValueError: the source has changed since.
    """
    submitted = environment.get(VARIABLE)
    if submitted is None or allow_edited:
        return
    here = source()
    if here != submitted:
        raise ValueError(
            f"this job was submitted with source {submitted} (commit:tree) and finds {here}; restore what "
            "was submitted, submit again, or say allow_edited=true"
        )


def _commit(root: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return "none"
    return done.stdout.strip()


if __name__ == "__main__":
    print(source())
