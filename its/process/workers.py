"""Which of a run's workers this process is. Workers share a folder and nothing else."""

from __future__ import annotations

import os
import random
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
        """The worker that this process's environment names.

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
    def reports(cls, environment: Mapping[str, str] = os.environ) -> bool:
        """Whether this process makes the report: one of a run's workers, and not one that `workers=n` started."""
        return "ITS_RANK" not in environment and cls.here(environment).rank == 0

    def order(self, items: Sequence[T]) -> list[T]:
        """Its own share, every world-th from its rank; then what others may have left.

        Those that are done early go through the rest each in an order of its own, so that they rarely meet at an item.
        """
        own = range(self.rank, len(items), self.world)
        others = sorted(set(range(len(items))) - set(own))
        random.Random(self.rank).shuffle(others)
        return [items[k] for k in (*own, *others)]


def take_own_gpu(environment: MutableMapping[str, str] = os.environ) -> None:
    """Where several workers of a machine see several GPUs, leave each one of them; before torch is loaded."""
    visible = [name for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    ranks = [environment[name] for name in LOCAL_RANKS if name in environment]
    if len(visible) > 1 and ranks and Worker.here(environment).world > 1:
        environment["CUDA_VISIBLE_DEVICES"] = visible[int(ranks[0]) % len(visible)]
