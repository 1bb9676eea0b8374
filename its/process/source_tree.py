"""The source tree that runs: its commit and hash, fixed when jobs are submitted and compared when they start.

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


def source_tree(root: Path = ROOT) -> str:
    """Return `<commit>:<hash of the tree>`; the commit is `none` outside a git clone.

    The hash is over code and configuration, with their paths; weights are part of a run's identity already.
    """
    paths = {path for part in _PARTS for path in root.glob(part)}
    digest = sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root)}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{_commit(root)}:{digest.hexdigest()[:16]}"


def require_source_tree(*, allow_edited: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Stop a job that starts on another source than it was submitted with.

    Raises:
        ValueError: the source has changed since.
    """
    submitted = environment.get(VARIABLE)
    if submitted is None or allow_edited:
        return
    here = source_tree()
    if here != submitted:
        raise ValueError(
            f"this job was submitted with source {submitted} (commit:tree) and finds {here}; restore what "
            "was submitted, submit again, or say allow_edited=true"
        )


def _commit(root: Path) -> str:
    try:
        process = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return "none"
    return process.stdout.strip()


if __name__ == "__main__":
    print(source_tree())
