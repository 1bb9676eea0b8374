"""`plan=true`: what a job would do and cost, before anything is loaded. Imports neither torch nor wandb."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from its.config.identity import ABSENT
from its.disk.run_folder import RunFolder, candidates_name, shard_name, shard_ranges
from its.particles.prices import Prices
from its.run.build import Blueprint, sized
from its.sampler.noise_paths import VP
from its.search.schedule import Schedule

LEDGER_BYTES = 64
"""Of one image at one cap: reward, pick, start and counts, at most; see `its.run.shards`."""

CANDIDATE_BYTES = 80
"""Of one candidate in a pool: paths, clock, reward and a short recipe; see `its.run.candidates`."""

SET_BYTES = 600
"""Of one scored set of a schedule search, with its line in the manifest."""

RATES = "rates.json"
"""File below `out_dir` in which scripts/benchmark.py keeps what it measured."""


@dataclass(frozen=True)
class Plan:
    """One job.

    Attributes:
        nfe: upper bound of the evaluations still to spend; infinite under budget=natural.
        present: images on disk. missing: shards still to make.
        seconds: estimate for what is missing; None if there is no rate for it.
        disk_bytes: for what is missing; at most, but for a pool, whose candidates a search may make in fewer steps.
        absent: weights that are not here; the folder's hash will be another with them.
        shards: what they are called.
    """

    folder: Path
    method: str
    images: int
    nfe: float
    present: int
    missing: int
    seconds: float | None
    disk_bytes: int
    absent: tuple[str, ...] = ()
    shards: str = "shards"

    def line(self) -> str:
        """The plan in one line."""
        unknown = "rate unknown: run python scripts/benchmark.py"
        seconds = unknown if self.seconds is None else f"about {self.seconds:.0f} s"
        absent = f"\n  not here yet: {', '.join(self.absent)}" if self.absent else ""
        return (
            f"{self.method}: {self.images} images, {self.present} on disk, {self.missing} {self.shards} missing, "
            f"{self.nfe:.0f} NFE to spend, {seconds}, {self.disk_bytes / 1e6:.1f} MB\n  {self.folder}{absent}"
        )


def plan_job(config: DictConfig, choices: dict[str, str], overrides: Sequence[str]) -> Plan:
    """Plan the job that `config` describes.

    Raises:
        ValueError: a value breaks a rule.
    """
    return plan_of(Blueprint.of(config, choices, overrides, planning=True))


def check_room(blueprint: Blueprint) -> None:
    """Refuse a run whose missing shards may not fit on the disk of its folder.

    Raises:
        OSError: fewer bytes are free than the plan says it needs at most.
    """
    plan = plan_of(blueprint)
    disk = next(folder for folder in (plan.folder, *plan.folder.parents) if folder.exists())
    free = shutil.disk_usage(disk).free
    if free < plan.disk_bytes:
        raise OSError(
            f"{plan.folder} may need {plan.disk_bytes / 1e6:.1f} MB more and its disk has "
            f"{free / 1e6:.1f} MB free; free some, set another out_dir=, or make fewer images="
        )


def plan_of(blueprint: Blueprint) -> Plan:
    """Plan the job of a checked configuration.

    Raises:
        ValueError: a value breaks a rule.
    """
    if isinstance(blueprint.search, Schedule):
        return _plan_sets(blueprint, blueprint.search)
    plain, label = blueprint.plain, blueprint.label
    search, caps = sized(blueprint.search, blueprint.budget, _prices(blueprint))
    shards = shard_ranges(plain["images"], plain["shard"])
    names = (shard_name, candidates_name) if blueprint.keep_pool else (shard_name,)
    missing = [
        indices for indices in shards if not all((blueprint.folder / name(indices.start)).exists() for name in names)
    ]
    count = sum(len(indices) for indices in missing)
    plain_sampling = label["search"].split("+")[0] == "none"
    per_image = _prices(blueprint).sampling if plain_sampling else caps[-1] if search.anytime else sum(caps)
    return Plan(
        blueprint.folder,
        f"{label['search']} ({label['verifier']}, seed {plain['seed']})",
        plain["images"],
        per_image * count,
        plain["images"] - count,
        len(missing),
        _seconds(plain, label, per_image * count, bool(missing)),
        _bytes(plain, len(caps), count, starts=not blueprint.sampler.stochastic)
        + _pool_bytes(blueprint, per_image * count),
        _absent(blueprint),
    )


def _plan_sets(blueprint: Blueprint, search: Schedule) -> Plan:
    """A schedule search's: sets of images in place of shards, at the rate of plain samplings."""
    plain, label, images = blueprint.plain, blueprint.label, search.num_samples
    present = len(RunFolder(blueprint.folder).set_names)
    missing = 0 if RunFolder(blueprint.folder).schedule.exists() else max(0, search.evaluations - present)
    nfe = missing * images * _prices(blueprint).sampling
    return Plan(
        blueprint.folder,
        f"{label['search']} ({search.strategy}, {search.fitness}, seed {plain['seed']})",
        (present + missing) * images,
        nfe,
        present * images,
        missing,
        _seconds(plain, {**label, "search": "none"}, nfe, bool(missing)),
        missing * SET_BYTES,
        _absent(blueprint),
        "sets",
    )


def _absent(blueprint: Blueprint) -> tuple[str, ...]:
    return tuple(name for name, mark in blueprint.decisive["weights"].items() if mark == ABSENT)


def _prices(blueprint: Blueprint) -> Prices:
    """NFE does not depend on where the levels lie, so any schedule will do; guidance takes two slots."""
    slots = 1 if blueprint.plain["model"].get("guidance_scale", 1.0) == 1.0 else 2
    table = tuple(1.0 - (k + 1) / 4001 for k in range(4000))
    return Prices(VP(table), replace(blueprint.sampler, spacing="trailing"), slots, blueprint.guidance.rounds)


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


def _pool_bytes(blueprint: Blueprint, nfe: float) -> int:
    """Float pixels, features and keys of candidates, as many as `nfe` pays for plain samplings."""
    if not blueprint.keep_pool or math.isinf(nfe):
        return 0
    dataset, candidates = blueprint.plain["dataset"], nfe / _prices(blueprint).sampling
    return round(candidates * (4 * math.prod(dataset["shape"]) + 4 * dataset["report_width"] + CANDIDATE_BYTES))


def _bytes(plain: dict[str, Any], caps: int, images: int, *, starts: bool) -> int:
    """Pixels and features of a different image at every cap, and the ledger: an upper bound.

    With `starts` there is a float32 starting point to each, as large as the image; only moved ones are really stored.
    """
    dataset = plain["dataset"]
    pixels = math.prod(dataset["shape"]) * (5 if starts else 1)
    return images * caps * (pixels + 4 * dataset["report_width"] + LEDGER_BYTES)
