"""Join folders that hold parts of one run, made on several machines; the first takes over what the others have.

    python run.py search=random images=2000 share=1/2        on one cluster
    python run.py search=random images=2000 share=2/2        on another
    python scripts/merge.py outputs/.../seed=0-1a2b3c4d from_other_cluster/seed=0-1a2b3c4d

Parts are of one configuration, one source and one type of device, whole, and the same where they overlap; anything else
is refused before a byte is written. The others are left as they are, nothing of the first is replaced, and a merge that
was killed is repeated by the same command. The run's own command, which is said, then measures all.
"""

from __future__ import annotations

import logging
from pathlib import Path

from its.moving.merge import Merge
from its.process.command import Parser, command


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("target", type=Path, metavar="RUN", help="the folder that the others are joined to")
    parser.add_argument("others", type=Path, nargs="+", metavar="OTHER", help="folders of the same run")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    merge = Merge.of([folder.expanduser().absolute() for folder in (options.target, *options.others)])
    count = merge.run()
    print(f"{merge.target.folder}: {count} shards joined; all shards from the first on hold {merge.images} images")
    print(f"measure them: {merge.command or 'the command that began this run, without share='}")


if __name__ == "__main__":
    main()
