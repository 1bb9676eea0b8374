"""Pack a finished run into one file that can be evaluated, rescored, reported and audited elsewhere; or unpack one.

    python scripts/pack.py outputs/.../seed=0-1a2b3c4d                     writes seed=0-1a2b3c4d.tar
    python scripts/pack.py outputs/.../seed=0-1a2b3c4d random.tar
    python scripts/pack.py --unpack random.tar                             makes the folder seed=0-1a2b3c4d
    python scripts/pack.py --unpack random.tar their_run

In it are shards, features and candidates, manifest, config.yaml, metrics.json, curve.csv, pictures, times and the lists
of sources. Renderings, rescored curves and failures stay behind. Places and names of this machine are left out: weights
and packages are named by the last part of their path. The same run always gives the same bytes.

What is unpacked is a run's folder for evaluate.py, rescore.py, report.py, figure.py and audit.py. A pack may come from
anywhere: nothing is unpacked but plain files that its record and its manifest know, each compared with its sha256.
"""

from __future__ import annotations

import logging
from pathlib import Path

from its.moving.pack import Pack, pack
from its.process.command import Parser, command
from its.rerun.finished_run import FinishedRun


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("source", type=Path, metavar="RUN", help="a finished run's folder; with --unpack, a pack")
    parser.add_argument("out", type=Path, nargs="?", help="the pack, or the folder, to make")
    parser.add_argument("--unpack", action="store_true", help="make a folder of a pack")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.unpack:
        archive = Pack.of(options.source)
        out = (options.out or Path(archive.name)).absolute()
        archive.unpack(out)
        print(f"{out}: {len(archive.members)} files")
    else:
        run = FinishedRun.of(options.source.absolute())
        out = (options.out or Path(f"{run.folder.name}.tar")).absolute()
        count = pack(run, out)
        print(f"{out}: {count} files, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
