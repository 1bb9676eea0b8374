"""`plan=true`: what a job would do and cost, before anything is loaded. Imports neither torch nor wandb."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from its.build import Blueprint, sized
from its.layout import ranges, shard_name
from its.model.schedule import VP
from its.prices import Prices

LEDGER_BYTES = 56
"""Of one image at one cap: reward, pick and counts, at most; see `its.shards`."""

RATES = "rates.json"
"""File below `out_dir` in which scripts/benchmark.py keeps what it measured."""


@dataclass(frozen=True)
class Plan:
    """One job.

    Attributes:
        nfe: upper bound of the evaluations still to spend; infinite under budget=natural.
        present: images on disk. missing: shards still to make.
        seconds: estimate for what is missing; None if there is no rate for it.
        disk_bytes: at most, for what is missing.
    """

    folder: Path
    method: str
    images: int
    nfe: float
    present: int
    missing: int
    seconds: float | None
    disk_bytes: int

    def line(self) -> str:
        """The plan in one line."""
        unknown = "rate unknown: run python scripts/benchmark.py"
        seconds = unknown if self.seconds is None else f"about {self.seconds:.0f} s"
        return (f"{self.method}: {self.images} images, {self.present} on disk, {self.missing} shards missing, "
                f"{self.nfe:.0f} NFE to spend, {seconds}, {self.disk_bytes / 1e6:.1f} MB\n  {self.folder}")


def plan_job(config: DictConfig, choices: dict[str, str], overrides: Sequence[str]) -> Plan:
    """Plan the job that `config` describes.

    Raises:
        ValueError: a value breaks a rule.
    """
    blueprint = Blueprint.of(config, choices, overrides)
    plain, label = blueprint.plain, blueprint.label
    search, caps = sized(blueprint.search, blueprint.budget, _prices(blueprint))
    shards = ranges(plain["images"], plain["shard"])
    missing = [indices for indices in shards if not (blueprint.folder / shard_name(indices)).exists()]
    count = sum(len(indices) for indices in missing)
    per_image = _prices(blueprint).sampling if label["search"] == "none" else caps[-1] if search.anytime else sum(caps)
    return Plan(blueprint.folder, f"{label['search']} ({label['verifier']}, seed {plain['seed']})", plain["images"],
                per_image * count, plain["images"] - count, len(missing),
                _seconds(plain, label, per_image * count, bool(missing)), _bytes(plain, len(caps), count))


def _prices(blueprint: Blueprint) -> Prices:
    """NFE does not depend on where the levels lie, so any schedule will do; guidance takes two slots."""
    slots = 1 if blueprint.plain["model"].get("guidance_scale", 1.0) == 1.0 else 2
    table = tuple(1.0 - (k + 1) / 1001 for k in range(1000))
    return Prices(VP(table), blueprint.sampler, slots)


def rate_key(label: dict[str, str], plain: dict[str, Any]) -> str:
    """What a measured rate holds for: search, model, device and batch."""
    return f"{label['search']} {label['model']} {plain['device']} batch {plain['batch']}"


def _seconds(plain: dict[str, Any], label: dict[str, str], nfe: float, work: bool) -> float | None:
    path = Path(plain["out_dir"]).expanduser().absolute() / RATES
    if not work:
        return 0.0
    if not path.exists() or math.isinf(nfe):
        return None
    rate = json.loads(path.read_text(encoding="utf-8")).get(rate_key(label, plain))
    return None if rate is None else nfe / rate["nfe_per_second"] + rate["fixed_seconds"]


def _bytes(plain: dict[str, Any], caps: int, images: int) -> int:
    """Pixels and features of a different image at every cap, and the ledger: an upper bound."""
    dataset = plain["dataset"]
    return images * caps * (math.prod(dataset["shape"]) + 4 * dataset["report_width"] + LEDGER_BYTES)
