"""A finished run as something to start from: its configuration, its files, and where its images came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from its.config.identity import of_before
from its.disk.run_folder import ranges, shard_name
from its.disk.store import Arrays, Store

OPEN = ("sampler", "device", "batch", "rows", "metric", "plugins", "hydra.searchpath")
"""What a command may change; everything else is the run's."""


@dataclass(frozen=True)
class Source:
    """A finished run.

    Attributes:
        config: its `config.yaml`. summary: its `metrics.json`.
    """

    folder: Path
    config: dict[str, Any]
    summary: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Source:
        """Read a run.

        Raises:
            ValueError: it is not there or not finished.
        """
        for name in ("config.yaml", "metrics.json"):
            if not (folder / name).exists():
                raise ValueError(
                    f"{folder} has no {name}, so it is no finished run; give the folder that the run "
                    "named, and finish it first by its own command"
                )
        config = of_before(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
        return cls(folder, config, json.loads((folder / "metrics.json").read_text(encoding="utf-8")))

    def overrides(self, given: Sequence[str]) -> list[str]:
        """What composes this run's choices with the sampler that `given` asks for: the run's, but for what it sets."""
        for override in given:
            key = override.lstrip("+~").split("=")[0]
            if not any(key == name or key.startswith(f"{name}.") for name in OPEN):
                raise ValueError(
                    f"{override} would change more than how the winners are sampled; render takes {', '.join(OPEN)}"
                )
        groups = [f"{group}={self.summary[group]}" for group in ("dataset", "model", "verifier")]
        if not any(override.startswith("sampler=") for override in given):
            groups.append(f"sampler={self.summary['sampler']}")
            groups += [
                f"++sampler.{key}={json.dumps(value)}"
                for key, value in self.config["sampler"].items()
                if key != "_target_"
            ]
        return [*groups, *given]

    def shards(self) -> Iterator[tuple[range, Arrays]]:
        """Its files, whole.

        Raises:
            FileNotFoundError: one is gone. DamagedFile: one was changed.
        """
        store = Store(self.folder)
        for indices in ranges(self.summary["images"], self.config["shard"]):
            arrays = store.read(shard_name(indices))
            if arrays is None:
                raise FileNotFoundError(f"{self.folder / shard_name(indices)} is gone; run the run's command again")
            yield indices, arrays

    def check(self) -> None:
        """Refuse a run whose images are not what their starting points come to.

        Raises:
            ValueError: naming the first such image.
        """
        for indices, arrays in self.shards():
            if "start" not in arrays:
                raise ValueError(
                    f"{self.folder} was made by a version that did not store starting points; run it "
                    "again under another name"
                )
            rows, caps = np.nonzero(arrays["start"][: len(indices)] == -1)
            if len(rows):
                raise ValueError(
                    f"image {indices[rows[0]]} at cap {self.summary['caps'][caps[0]]} of "
                    f"search={self.summary['search']} did not come straight from a starting point under "
                    "a deterministic sampler; render runs of none, random, zero_order, ses or snes that "
                    "were made with sampler.eta=0, euler or heun"
                )

    def starts(self, index: int) -> tuple[list[int], np.ndarray]:
        """Codes of problem `index`'s starting points by cap (see `its.run.shards.pack`), and the rows of moved ones."""
        size = self.config["shard"]
        arrays = _shard(self.folder, shard_name(range(index // size * size, index + 1)))
        return arrays["start"][index % size].tolist(), arrays["noise"]


@lru_cache(maxsize=4)
def _shard(folder: Path, name: str) -> Arrays:
    arrays = Store(folder).read(name)
    assert arrays is not None
    return arrays
