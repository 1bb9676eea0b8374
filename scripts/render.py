"""Sample a finished run's winners again, from their starting points, by another sampler or in more steps.

    python scripts/render.py <run folder> sampler=heun sampler.steps=20

What is not said of the sampler stays the run's. Images, curve and figures come to lie in a folder of their own below
the run's, `renders/<sampler>-<hash8>/`; the run's files stay as they are, and the same command again is resume. In the
curve `nfe` is what the search cost and `nfe_final` what the last sampling costs on top. The run must have been made by
a search over starting points (none, random, zero_order, ses, snes, trs, reno) under a deterministic sampler.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from its.config.composed import composed
from its.process.command import Parser, command
from its.process.leave import exits_as_errors


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    from its.budget import CAP_COLUMNS
    from its.rerun.finished_run import FinishedRun
    from its.rerun.render import build_rendering, words

    run = FinishedRun.of(options.folder.absolute())
    with exits_as_errors():
        rendering = build_rendering(run, composed(words(run, options.overrides)), sys.argv[1:])
        rows = rendering.run()
    print(rendering.folder)
    columns = [
        *filter(rows[0].__contains__, (*CAP_COLUMNS.values(), "nfe", "nfe_final", "reward_mean", "fid", "accuracy"))
    ]
    for line in [columns, *([_cell(row[key]) for key in columns] for row in rows)]:
        print("".join(f"{cell:>{max(10, len(key)) + 2}}" for key, cell in zip(columns, line, strict=True)))


def _cell(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    main()
