"""Sample a finished run's winners again, from their starting points, by another sampler or in more steps.

    python scripts/render.py <run folder> sampler=heun sampler.steps=20

What is not said of the sampler stays the run's. Images, curve and figures come to lie in a folder of their own below
the run's, `renders/<sampler>-<hash8>/`; the run's files stay as they are, and the same command again is resume. In the
curve `nfe` is what the search cost and `nfe_final` what the last sampling costs on top. The run must have been made by
a search over starting points (none, random, zero_order, ses, snes) under a deterministic sampler.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from its.config.composed import composed
from its.config.guard import check_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    try:
        check_command_line(options.overrides)
        from its.rerun.finished_run import Source
        from its.rerun.render import build_rendering

        source = Source.of(options.folder.absolute())
        rendering = build_rendering(source, composed(source.overrides(options.overrides)), sys.argv[1:])
        rows = rendering.run()
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(rendering.folder)
    columns = [*filter(rows[0].__contains__, ("nfe_cap", "nfe", "nfe_final", "reward_mean", "fid", "accuracy"))]
    for line in [columns, *([f"{row[key]:.4g}" for key in columns] for row in rows)]:
        print("".join(f"{cell:>12}" for cell in line))


if __name__ == "__main__":
    main()
