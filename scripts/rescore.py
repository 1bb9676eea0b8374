"""Rescore a run's stored candidates by another verifier, without a single new NFE; export best and worst as pairs.

    python scripts/rescore.py <run folder> [verifier=null_rewards verifier.salt=3 ...] [--pairs <out_dir>]

The run was made with `keep_candidates=true`. Its folder gets `rescored/<verifier>-<hash>/`: shards, `curve.csv`,
`curve.png` beside the run's own curve, sample grids and `rescored.json`, which says whether this equals a run with that
verifier. Without a verifier it is the run's own. Group and value are given as to `run.py`; only the verifier,
the metric and the device may differ from the run's.
"""

from __future__ import annotations

from pathlib import Path

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.identity import hash8, identity
from its.process.command import Parser, command
from its.process.leave import exits_as_errors
from its.rerun.finished_run import FinishedRun
from its.rerun.preference_pairs import export_pairs, require_new_folder
from its.rerun.rescore import command_of, rescore
from its.rerun.rescoring import Rescoring, words


def rescoring_of(run: FinishedRun, overrides: list[str]) -> Rescoring:
    """Return the run's rescoring with the verifier that `overrides` name."""
    return Rescoring.of(run, Blueprint.of(*composed(words(run, overrides))))


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, help="of the run")
    parser.add_argument("overrides", nargs="*", help="the other verifier, as run.py takes it")
    parser.add_argument("--pairs", type=Path, metavar="out_dir", help="also export best/worst pairs to a new folder")
    options = parser.parse_intermixed_args()
    run = FinishedRun.of(options.folder.absolute())
    run.require_candidates()
    if options.pairs is not None:
        require_new_folder(options.pairs)

    # Rescore.
    with exits_as_errors():
        rescoring = rescoring_of(run, options.overrides)
    if options.pairs is not None and rescoring.by_set:
        raise ValueError(
            f"--pairs compares the candidates of one image, and {rescoring.label['verifier']} gives none a reward; "
            "name another verifier"
        )
    decisive = {key: rescoring.blueprint.record[key] for key in ("verifier", "weights")}
    target = run.files.rescored / f"{rescoring.label['verifier']}-{hash8(identity(decisive))}"
    with exits_as_errors():
        rows = rescore(rescoring, target, command_of(options.folder, options.overrides))
    for row in rows:
        print("  ".join(f"{name} {value:.5g}" for name, value in row.items() if isinstance(value, int | float)))
    print(f"{rescoring.meaning}\n{target}")

    # Export pairs.
    if options.pairs is not None:
        pairs, without = export_pairs(rescoring, options.pairs.absolute())
        print(f"{pairs} pairs in {options.pairs}; {without} images have no two candidates that differ in reward")


if __name__ == "__main__":
    main()
