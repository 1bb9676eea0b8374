"""Measure what verifier=zscore needs: mean and standard deviation of each member's rewards of plain samplings.

    python run.py search=none verifier=ensemble images=1000
    python scripts/standardize.py <the folder that this run named>

It prints the override to run with. Rewards are those at the run's first cap.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from its.disk.run_folder import RunFolder
from its.process.command import Parser, command


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


@command
def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path)
    members = statistics(parser.parse_args().folder)
    entries = ",".join(f"{name}:[{mean},{std}]" for name, (mean, std) in members.items())
    print(f'verifier=zscore "verifier.statistics={{{entries}}}"')


if __name__ == "__main__":
    main()
