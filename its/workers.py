"""Which of a run's workers this process is. Workers share a folder and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

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

    def order(self, items: Sequence[T]) -> list[T]:
        """Its own share, every world-th from its rank; then what others may have left, from the back."""
        own = list(items[self.rank :: self.world])
        chosen = set(range(self.rank, len(items), self.world))
        return own + [items[k] for k in reversed(range(len(items))) if k not in chosen]
