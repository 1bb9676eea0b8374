"""Measure what verifier=zscore needs: mean and standard deviation of each member's rewards of plain samplings.

    python run.py search=none verifier=ensemble images=1000
    python scripts/standardize.py search=none verifier=ensemble images=1000     the words of this run, or its folder

It prints the words to run with, those that chose the members among them. Rewards are those at the run's first cap.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.disk.run_folder import RunFolder
from its.process.command import Parser, command, typed
from its.process.leave import exits_as_errors
from its.report.runs import overrides_of
from its.rerun.finished_run import key_of

MEMBERS = ("verifier.", "verifier@verifier.")
"""Beginnings of keys that choose an ensemble's members and set their values."""


def statistics(folder: Path) -> dict[str, list[float]]:
    """Return by member the mean and the standard deviation (n - 1), to six digits.

    Raises:
        ValueError: the run has no rewards by member, or some that are not finite.
    """
    # Read every image's rewards.
    run = RunFolder(folder)
    verifier = run.read_config()["verifier"]
    shards = [run.store.read(name) for name in run.shard_names]
    rewards = [arrays["reward"][:, 0] for arrays in shards if arrays is not None and arrays["reward"].shape[1]]
    if not rewards or rewards[0].ndim != 2:
        raise ValueError(f"{folder} has no rewards by member; make a run with search=none verifier=ensemble")
    every = np.concatenate(rewards)
    if len(every) < 2 or not np.isfinite(every).all():
        raise ValueError(
            f"{folder} has {len(every)} images with rewards that are not all finite; two or more finite ones are needed"
        )

    # Their means and standard deviations.
    pairs = zip(every.mean(axis=0), every.std(axis=0, ddof=1), strict=True)
    return {
        name: [float(f"{value:.6g}") for value in pair]
        for name, pair in zip(sorted(verifier["members"]), pairs, strict=True)
    }


def run_of(words: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder of the run that these words name, and the words that made it as far as they are known.

    Args:
        words: of run.py, or the run's folder alone.

    Raises:
        ValueError: there is no such run.
    """
    # A folder, whose command says the words once it is finished.
    folder = Path(words[0]).expanduser()
    if folder.is_dir() or "=" not in words[0]:
        files = RunFolder(folder)
        if len(words) > 1 or not files.config.is_file():
            raise ValueError(
                f"{folder} is no run's folder alone; give the one that ends in seed=<n>-<hash>, or only the words that "
                "made the run"
            )
        return folder, overrides_of(files.read_summary()["command"]) if files.state == "finished" else []

    # Words, which name a folder as they do for run.py.
    with exits_as_errors():
        folder = Blueprint.of(*composed(words)).folder
    if not RunFolder(folder).shard_names:
        raise ValueError(f"{folder} has no images yet; make them first: {typed('run.py', words)}")
    return folder, list(words)


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("words", nargs="+", metavar="key=value", help="the run's own words, or its folder")
    folder, words = run_of(parser.parse_args().words)
    members = statistics(folder)
    entries = ",".join(f"{name}:[{mean},{std}]" for name, (mean, std) in members.items())
    of_members = [word for word in words if key_of(word).startswith(MEMBERS)]
    print(*map(shlex.quote, of_members), "verifier=zscore", f'"verifier.statistics={{{entries}}}"')


if __name__ == "__main__":
    main()
