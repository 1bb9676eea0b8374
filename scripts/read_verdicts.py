"""Read a judge's verdicts on a run's images, which scripts/hand_out.py handed out, into the run's folder.

    python scripts/read_verdicts.py outputs/.../seed=0-1a2b3c4d verdicts.jsonl --name geneval
    python scripts/read_verdicts.py outputs/.../seed=0-1a2b3c4d results.jsonl --name geneval --by-file

VERDICTS has a line for each image: {"sha256": "...", "correct": true, "tag": "counting"}. `correct` may be a number
from 0 to 1; `tag` may be left out of all lines. With --by-file lines have `filename`, as those of GenEval's authors,
and the sha256 is taken of that file. Nothing is written unless there is exactly one line for each image.

A report then has the share of correct images, and a table by tag: python scripts/report.py outputs/<experiment>
"""

from __future__ import annotations

from pathlib import Path

from its.disk.records import sha256_of
from its.process.command import Parser, command
from its.report.verdicts import summary_of
from its.rerun.finished_run import FinishedRun
from its.rerun.verdict_lines import read_lines, verdicts_of


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("verdicts", type=Path)
    parser.add_argument("--name", required=True, help="of the judge: its column is verdict_<name>")
    parser.add_argument("--by-file", action="store_true", help="lines name files (filename), not their sha256")
    options = parser.parse_args()
    if not options.verdicts.is_file():
        raise ValueError(f"there is no file {options.verdicts}")
    run = FinishedRun.of(options.folder.absolute())
    lines = read_lines(options.verdicts, by_file=options.by_file)
    verdicts = verdicts_of(run, lines, options.name, sha256_of(options.verdicts))
    new = verdicts.keep(run.files)
    print(summary_of(verdicts))
    print(f"{verdicts.place(run.files)}" + ("" if new else ": it was there already"))


if __name__ == "__main__":
    main()
