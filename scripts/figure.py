"""Draw a figure for print from a sweep's runs, and write its caption beside it.

    python scripts/figure.py outputs/digits_demo --metric fid accuracy --out fig.pdf
    python scripts/figure.py outputs/digits_demo --methods random zero_order --x flops --columns 2 --out fig.pdf \\
        --labels random="Best-of-N" zero_order="Zero-order" fid="FID"

SWEEP is an experiment's folder. The figure is a PDF, PNG or SVG by the end of OUT; the caption, with what the bands
are and the commands, is OUT ending in .txt. Where runs differ in data set, model, sampler or number of images,
--where says of which one the figure is; where they differ in guidance or verifier, of which ones: several are drawn
with the colour of their search and line styles of their own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from its.disk.files import write_atomic
from its.disk.run_folder import RunFolder
from its.disk.run_folders import run_folders
from its.process.command import Parser, command, typed
from its.process.scratch import need_temporary_folder
from its.report.choice import COSTS, Choice
from its.report.figures import encoded
from its.report.paper import WIDTHS, paper_figure
from its.report.renderings import read_runs
from its.report.report import INPUTS

KINDS = (".pdf", ".png", ".svg")
DPI = 300

MARK = Path(__file__).name
"""In every caption, as part of the command that drew the figure."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser, inches = Parser(__doc__), " or ".join(f"{width} in" for width in WIDTHS.values())
    parser.add_argument("sweep", metavar="SWEEP", type=Path, help="<out_dir>/<experiment>")
    parser.add_argument("--metric", nargs="+", default=["fid"], help="columns of curve.csv, a panel each, in order")
    parser.add_argument("--x", choices=COSTS, default="nfe", help="the cost, as it was spent; default: nfe")
    parser.add_argument("--methods", nargs="+", default=[], help="searches or lines, in this order; default: all")
    parser.add_argument("--where", nargs="+", default=[], metavar="KEY=VALUE", help="images=1000 guidance=none,tfg")
    parser.add_argument("--labels", nargs="+", default=[], metavar="NAME=TEXT", help="of methods, metrics or the cost")
    parser.add_argument("--columns", type=int, choices=WIDTHS, default=1, help=f"of a paper: {inches} wide; default: 1")
    parser.add_argument("--out", type=Path, required=True, help=f"ends in {', '.join(KINDS)}; an older one is replaced")
    return parser.parse_args()


@command
def main() -> None:
    options = arguments()
    # Look at what is there.
    if not options.sweep.is_dir():
        raise ValueError(f"{options.sweep.absolute()} is not a folder; give <out_dir>/<experiment>")
    folders, out = list(run_folders(options.sweep)), options.out.resolve()
    beside = out.with_suffix(".txt")
    check_out(out, beside, options.sweep.resolve(), folders)
    runs, failures = read_runs(folders, options.sweep)
    if not runs:
        raise ValueError(f"no finished run below {options.sweep}; python scripts/status.py tells how far runs are")

    # Draw the figure, and write it with its caption.
    need_temporary_folder(out.parent)
    choice = Choice(options.metric, options.x, options.methods, options.where, options.labels)
    figure, caption = paper_figure(runs, choice, options.columns)
    content = encoded(figure, out.suffix[1:].lower(), DPI)
    write_atomic(beside, f"{caption}\n\nThe figure:\n{typed('scripts/figure.py', sys.argv[1:])}\n".encode())
    write_atomic(out, content)
    for failed in failures:
        print(f"not in the figure: {failed.place}: {failed.reason}")
    print(f"{out}\n{beside}")


def check_out(out: Path, beside: Path, sweep: Path, runs: list[RunFolder]) -> None:
    """Refuse to write a figure where it is no figure, or over what is no caption.

    Raises:
        ValueError: so it is.
    """
    if out.suffix.lower() not in KINDS:
        raise ValueError(f"--out {out} ends in {out.suffix or 'nothing'}; a figure ends in {', '.join(KINDS)}")
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(f"--out {out} {'is a folder' if out.is_dir() else 'is in no folder'}; name a file in a folder")
    of_runs = {run.path.resolve() for run in runs}
    for place in out.parents:
        if place in of_runs or RunFolder(place).manifest.is_file():
            raise ValueError(f"--out {out} lies in the run {place}, whose files are its own; name another folder")
    if out.parent == sweep / "report" or (out.parent / INPUTS).is_file():
        raise ValueError(f"--out {out} lies in a report, which removes other figures; name another folder")
    if beside.is_dir() or (beside.is_file() and MARK not in beside.read_text(encoding="utf-8", errors="replace")):
        raise ValueError(f"{beside} is no caption of a figure, and would be replaced; name another --out")


if __name__ == "__main__":
    main()
