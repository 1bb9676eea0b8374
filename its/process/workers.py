"""Workers of one run, which share a folder and nothing else: rank and world of this process."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

LOCAL_RANKS = ("ITS_RANK", "SLURM_LOCALID", "LOCAL_RANK")
"""Variables that number the workers of one machine: of `workers=n`, of srun, of torchrun."""

SOURCES = (("ITS_RANK", "ITS_WORLD"), ("SLURM_PROCID", "SLURM_NTASKS"), ("RANK", "WORLD_SIZE"))
"""Variables that name rank and world: of `workers=n`, of srun (and submitit), of torchrun."""


@dataclass(frozen=True)
class Worker:
    """One of `world` processes on one run."""

    rank: int = 0
    world: int = 1

    @classmethod
    def here(cls, environment: Mapping[str, str] = os.environ) -> Worker:
        """Return the worker that this process's environment names.

        Raises:
            ValueError: it names a rank that does not fit its world.
        """
        for rank, world in SOURCES:
            if rank in environment and world in environment:
                worker = cls(int(environment[rank]), int(environment[world]))
                if not 0 <= worker.rank < worker.world:
                    raise ValueError(f"{rank}={worker.rank} and {world}={worker.world}; the rank lies in [0, world)")
                return worker
        return cls()

    @classmethod
    def of_share(cls, share: str | None) -> Worker:
        """Return the worker that makes a share, `k/n`, of a run's shards; None stands for all of them.

        Raises:
            ValueError: it is no such share.
        """
        match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", share or "1/1")
        if match is None or int(match[1]) > int(match[2]):
            raise ValueError(f"share is {share!r}; it is null, or 1/2 for the first of two shares of the shards")
        return cls(int(match[1]) - 1, int(match[2]))

    @classmethod
    def reports(cls, environment: Mapping[str, str] = os.environ) -> bool:
        """Return whether this process makes the report: one of a run's workers, and none that `workers=n` started."""
        return not cls.is_shown_by_another(environment) and cls.here(environment).rank == 0

    @staticmethod
    def is_shown_by_another(environment: Mapping[str, str] = os.environ) -> bool:
        """Return whether the process that started this one, as one of `workers=n`, shows and says all for both."""
        return "ITS_RANK" in environment

    def share(self, items: Sequence[T]) -> list[T]:
        """Return this worker's share of items: every world-th from its rank."""
        return list(items[self.rank :: self.world])

    def order(self, items: Sequence[T]) -> list[T]:
        """Return items in this worker's order: its share, every world-th from its rank; then the others'.

        Workers that finish early go through the others' items each in another order, so that they rarely meet at one.
        """
        share = range(self.rank, len(items), self.world)
        others = sorted(set(range(len(items))) - set(share))
        random.Random(self.rank).shuffle(others)
        return [items[k] for k in (*share, *others)]


def take_own_gpu(environment: MutableMapping[str, str] = os.environ) -> None:
    """Leave this worker one GPU, where several of a machine see several; to be called before torch is loaded."""
    visible = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    ranks = [environment[name] for name in LOCAL_RANKS if name in environment]
    if len(visible) > 1 and ranks and Worker.here(environment).world > 1:
        environment["CUDA_VISIBLE_DEVICES"] = visible[int(ranks[0]) % len(visible)]
