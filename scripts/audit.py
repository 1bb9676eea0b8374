"""Check a published number: make some of a run's images again, and compute its curve again from what it has stored.

    python scripts/audit.py outputs/.../seed=0-1a2b3c4d
    python scripts/audit.py random.tar --images 64 --seed 5
    python scripts/audit.py random.tar plugins=[/path/to/my_methods] device=cuda

RUN is a finished run's folder, or a pack of scripts/pack.py. Problems are drawn at random over all shards, and their
images made again at every cap from config.yaml and the keys of their noise: pixels, rewards, costs and features are
compared with those stored. Every number of the curve is computed from what is stored, and every file compared with its
sha256. One line says what was equal; differences are listed above it, with exit code 1. Nothing is written into RUN.

Its configuration may come from anywhere and runs no code: whose packages are used is said here, as are places that it
only names (dataset.reference.path=...; weights are looked for below $ITS_WEIGHTS).
"""

from __future__ import annotations

import logging
import secrets
import sys
from pathlib import Path

from its.moving.audit import audit, opened
from its.process.command import Parser, command
from its.process.leave import exits_as_errors


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("words", nargs="*", metavar="key=value", help="plugins, hydra.searchpath, device, batch, ...")
    parser.add_argument("--images", type=int, default=16, help="problems whose images are made again; default: 16")
    parser.add_argument("--seed", type=int, help="that they are drawn by; default: another each time, which is said")
    options = parser.parse_intermixed_args()
    if options.images < 1:
        raise ValueError(f"--images is {options.images}; it is 1 or more")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    with opened(options.run.expanduser().absolute()) as run, exits_as_errors():
        findings = audit(run, options.words, options.images, seed)
    for difference in findings.different:
        print(f"differs: {difference}")
    print(findings.line)
    sys.exit(1 if findings.different else 0)


if __name__ == "__main__":
    main()
