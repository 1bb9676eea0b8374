"""Write the report of an experiment again, from what its runs left on disk.

python scripts/report.py <out_dir>/<experiment>
"""

from __future__ import annotations

import argparse
from pathlib import Path

from its.report.report import make_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not folder.is_dir():
        raise SystemExit(f"{folder.absolute()} is not a folder; give <out_dir>/<experiment>")
    make_report(folder)


if __name__ == "__main__":
    main()
