"""What a run's pool comes to under another verifier, without a single new NFE; and its best and worst as pairs.

    python scripts/rescore.py <run folder> [verifier=null_rewards verifier.salt=3 ...] [--pairs <out_dir>]

The run was made with `keep_candidates=true`. Its folder gets `rescored/<verifier>-<hash>/`: shards, `curve.csv`,
`curve.png` beside the run's own curve, sample grids and `rescored.json`, which says whether this equals a run with that
verifier. Without a verifier it is the run's own. Group and value are given as to `run.py`; only the verifier,
the metric and the device may differ from the run's.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.guard import check_command_line
from its.config.identity import hash8, identity
from its.disk.store import DamagedFile
from its.rerun.pairs import check_empty, export_pairs
from its.rerun.rescore import Finished, command_of, meaning, rescore
from its.run.build import build
from its.run.experiment import Experiment


def experiment(source: Finished, given: list[str]) -> Experiment:
    """The source's experiment with what is given instead of its verifier."""
    words = source.words(given)
    check_command_line(words)
    run = build(Blueprint.of(*composed(words)))
    source.check(run.config)
    return replace(run, folder=source.folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("overrides", nargs="*", help="the other verifier, as run.py takes it")
    parser.add_argument("--pairs", type=Path, metavar="out_dir", help="also export best/worst pairs to a new folder")
    options = parser.parse_intermixed_args()
    try:
        source = Finished.read(options.folder.absolute())
        if options.pairs is not None:
            check_empty(options.pairs)
        run = experiment(source, options.overrides)
        decisive = {"verifier": run.config["verifier"], "weights": run.config["weights"]}
        target = source.folder / "rescored" / f"{run.label['verifier']}-{hash8(identity(decisive))}"
        rows = rescore(run, source, target, command_of(options.folder, options.overrides))
        for row in rows:
            print("  ".join(f"{name} {value:.5g}" for name, value in row.items() if isinstance(value, int | float)))
        print(f"{meaning(run, source)}\n{target}")
        if options.pairs is not None:
            pairs, without = export_pairs(run, options.pairs.absolute())
            print(f"{pairs} pairs in {options.pairs}; {without} images have no two candidates that differ in reward")
    except (ValueError, OSError, DamagedFile, HydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
