"""Make the report of an experiment from what its runs left on disk; what has not changed since is not drawn again.

python scripts/report.py <out_dir>/<experiment>
"""

from __future__ import annotations

from pathlib import Path

from its.process.command import Parser, command
from its.report.report import make_report


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not folder.is_dir():
        raise ValueError(f"{folder.absolute()} is not a folder; give <out_dir>/<experiment>")
    make_report(folder)


if __name__ == "__main__":
    main()
