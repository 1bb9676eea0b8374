"""Hand out a finished run's images to a judge outside, as the files that GenEval's authors evaluate.

    python scripts/hand_out.py outputs/.../seed=0-1a2b3c4d images/
    python evaluation/evaluate_images.py images/ --outfile results.jsonl ...     (djghosh13/geneval, your installation)
    python scripts/read_verdicts.py outputs/.../seed=0-1a2b3c4d results.jsonl --name geneval --by-file

OUT is a new folder: `00000/metadata.jsonl` is the prompt's row of the list, `00000/samples/0000.png` its first image,
and `list.jsonl` has a line for each image: sha256 of its file, file, prompt and tag. Any judge may read it, and answer
with a line for each: {"sha256": ..., "correct": true, "tag": ...}. The run's folder remembers what was handed out.
"""

from __future__ import annotations

from pathlib import Path

from its.process.command import Parser, command
from its.rerun.finished_run import FinishedRun
from its.rerun.hand_out import hand_out


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--cap", type=int, default=-1, help="position among the run's caps; default: the last")
    parser.add_argument("--list", help="the run's list of prompts, if it is no longer where the run found it")
    options = parser.parse_args()
    record = hand_out(FinishedRun.of(options.folder.absolute()), options.out.absolute(), options.cap, options.list)
    cap = "without a cap" if record.cap is None else f"at cap {record.cap:g}"
    print(f"{options.out.absolute()}: {len(record.files)} images {cap}")


if __name__ == "__main__":
    main()
