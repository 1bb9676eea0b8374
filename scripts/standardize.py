"""Measure what verifier=zscore needs: mean and standard deviation of each member's rewards of plain samplings.

    python run.py search=none verifier=ensemble images=1000
    python scripts/standardize.py <the folder that this run named>

It prints the override to run with. Rewards are those at the run's first cap.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import yaml

from its.disk.store import Store


def statistics(folder: Path) -> dict[str, list[float]]:
    """By member, mean and standard deviation (n - 1), to six digits.

    Raises:
        ValueError: the run has no rewards by member, or some that are not finite.
    """
    verifier = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["verifier"]
    store = Store(folder)
    shards = [store.read(f"shards/{path.name}") for path in sorted((folder / "shards").glob("*.safetensors"))]
    rewards = [arrays["reward"][:, 0] for arrays in shards if arrays is not None and arrays["reward"].shape[1]]
    if not rewards or rewards[0].ndim != 2:
        raise ValueError(f"{folder} has no rewards by member; make a run with search=none verifier=ensemble")
    every = np.concatenate(rewards)
    if len(every) < 2 or not np.isfinite(every).all():
        raise ValueError(
            f"{folder} has {len(every)} images with rewards that are not all finite; two or more finite ones are needed"
        )
    pairs = zip(every.mean(axis=0), every.std(axis=0, ddof=1), strict=True)
    return {
        name: [float(f"{value:.6g}") for value in pair]
        for name, pair in zip(sorted(verifier["members"]), pairs, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    try:
        found = statistics(parser.parse_args().folder)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    entries = ",".join(f"{name}:[{mean},{std}]" for name, (mean, std) in found.items())
    print(f'verifier=zscore "verifier.statistics={{{entries}}}"')


if __name__ == "__main__":
    main()
