"""Plans (`plan=true`): a job's files and cost, before anything is loaded. Imports neither torch nor wandb."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from its.config.blueprint import Blueprint
from its.config.folder import adoption, older_folder
from its.config.identity import ABSENT, contents
from its.config.kinds import Work

CALLS = "of a planned search's verifier calls few take a whole sampling"
"""Why the NFE that they come to are a bound."""

RATES = "rates.json"
"""File below `out_dir` in which scripts/benchmark.py keeps what it measured."""

NETWORK_RATES = "network_rates.json"
"""File beside it in which scripts/benchmark_network.py keeps the best rows/s of networks alone."""


GPUS = (1, 8, 64)
"""Numbers of GPUs for which a plan says how long its jobs take."""


@dataclass(frozen=True)
class Plan:
    """One job.

    Attributes:
        seconds: estimate for what is missing; None if there is no rate for it.
        stated: the NFE/s of one GPU that the estimate goes by; None if a rate was measured, or there is none.
        absent: weights that are not here; the folder's hash will be another with them.
        older: folder of the same run under the name that an earlier version gave it.
        refusal: why the run would not go on, though its configuration is right.
        bounded: whether the NFE are only a bound.
        bound: why they are.
    """

    folder: Path
    work: Work
    seconds: float | None
    absent: tuple[str, ...] = ()
    older: Path | None = None
    refusal: str = ""
    bounded: bool = False
    bound: str = ""
    stated: float | None = None

    def line(self) -> str:
        """Return the plan in one line, and what else there is to say in lines below it."""
        work, unknown = self.work, "rate unknown: run python scripts/benchmark.py"
        seconds = unknown if self.seconds is None else f"about {duration(self.seconds)}{_rate(self.stated)}"
        lines = [
            f"{work.method}: {work.images} images, {work.present} on disk, {work.missing} {work.files} missing, "
            f"{'at most ' * self.bounded}{count(work.nfe)} NFE to spend, {seconds}, {size(work.disk_bytes)}",
            str(self.folder),
        ]
        lines += [f"at most, for {self.bound}"] if self.bound else []
        lines += [f"not here yet: {', '.join(self.absent)}"] if self.absent else []
        lines += [f"begun by an earlier version: {adoption(self.older, self.folder)}"] if self.older else []
        lines += [f"would be refused: {self.refusal}"] if self.refusal else []
        return "\n  ".join(lines)


def total(plans: Sequence[Plan]) -> str:
    """Return in one line what jobs come to; of jobs on one folder the one with the most work counts."""
    largest = by_folder(plans)
    works = [plan.work for plan in largest.values()]
    endless = sum(math.isinf(work.nfe) for work in works)
    nfe = sum(work.nfe for work in works if math.isfinite(work.nfe))
    bound = "at most " if any(plan.bounded for plan in largest.values()) else ""
    more = f" and what {endless} without a cap take" if endless else ""
    return (
        f"total: {len(largest)} runs, {sum(work.images for work in works)} images, "
        f"{sum(work.present for work in works)} on disk, {bound}{count(nfe)} NFE to spend{more}, "
        f"{_in_all(largest.values())}{_on_gpus(largest.values())}, peak memory beside networks at most about "
        f"{size(max((work.memory_bytes for work in works), default=0))}, "
        f"disk {size(sum(work.disk_bytes for work in works))}"
    )


def by_folder(plans: Iterable[Plan]) -> dict[Path, Plan]:
    """Return the plan with the most work for each folder."""
    return {plan.folder: plan for plan in sorted(plans, key=lambda plan: (plan.work.images, plan.work.nfe))}


def duration(seconds: float) -> str:
    """Return seconds as text, minutes from two minutes on, hours from two hours on."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def size(number: float) -> str:
    """Return bytes as text, in MB or GB."""
    return f"{number / 1e6:.1f} MB" if number < 1e9 else f"{number / 1e9:,.1f} GB"


def count(number: float) -> str:
    """Return a count as text, by millions from ten millions on."""
    return f"{number:.0f}" if number < 1e7 or math.isinf(number) else f"{number / 1e6:,.1f} M"


def _in_all(plans: Collection[Plan]) -> str:
    """Return the seconds of jobs one after the other, and which searches' rates are not known."""
    searches = dict.fromkeys(plan.work.rate for plan in plans if plan.seconds is None)
    seconds = sum(plan.seconds or 0.0 for plan in plans)
    if not searches:
        return f"about {duration(seconds)}"
    rest = f"rate unknown of {', '.join(searches)}: run python scripts/benchmark.py"
    return f"about {duration(seconds)} and more ({rest})" if seconds else rest


def _rate(stated: float | None) -> str:
    return "" if stated is None else f" of a GPU at the stated {stated:g} NFE/s"


def _on_gpus(plans: Collection[Plan]) -> str:
    """Return how long jobs of stated rates take on GPUS that share their shards; nothing where a rate was measured."""
    left = [plan for plan in plans if plan.work.missing]
    if not left or any(plan.stated is None or plan.seconds is None for plan in left):
        return ""
    seconds = sum(plan.seconds or 0.0 for plan in left)
    return f" ({', '.join(f'{duration(seconds / number)} on {number}' for number in GPUS)} GPUs)"


def plan_of(blueprint: Blueprint) -> Plan:
    """Plan the job of a checked configuration.

    Raises:
        ValueError: a value breaks a rule.
    """
    work = blueprint.work
    needed = blueprint.record["weights"] | contents(blueprint.plain["report"], planning=True)
    absent = tuple(name for name, content in sorted(needed.items()) if content == ABSENT)
    older = older_folder(blueprint.folder, blueprint.record)
    by_calls = blueprint.budget.currency != "nfe" and not blueprint.search.anytime
    bound = blueprint.bound or CALLS * by_calls
    measured, stated = _measured(blueprint, work), _stated(blueprint, work)
    return Plan(
        blueprint.folder,
        work,
        stated if measured is None else measured,
        absent,
        older,
        _refusal(blueprint),
        bool(bound),
        bound,
        blueprint.plain["nfe_per_second"] if measured is None and stated is not None else None,
    )


def _refusal(blueprint: Blueprint) -> str:
    try:
        if not blueprint.finished:
            blueprint.check_sources()
    except ValueError as error:
        return str(error)
    return ""


def check_room(blueprint: Blueprint) -> None:
    """Refuse a run whose missing files may not fit on the disk of its folder.

    Raises:
        OSError: fewer bytes are free than the plan says it needs at most.
    """
    folder, needed = blueprint.folder, blueprint.work.disk_bytes
    disk = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(disk).free
    if free < needed:
        raise OSError(
            f"{folder} may need {size(needed)} more and its disk has "
            f"{size(free)} free; free some, set another out_dir=, or make fewer images="
        )


def rate_key(search: str, model: str, plain: Mapping[str, Any]) -> str:
    """Return the key of a measured rate: search, model, device and batch."""
    return f"{search} {model} {plain['device']} batch {plain['batch']}"


def network_rate_key(model: str, device: str, threads: int, dtype: str) -> str:
    """Return the key of a network's rate: model, device, threads of a process and type."""
    return f"{model} {device} {threads} threads {dtype}"


def _stated(blueprint: Blueprint, work: Work) -> float | None:
    """Return the seconds that a job takes at the stated rate; a gradient counts as one more forward."""
    rate, through = blueprint.plain["nfe_per_second"], blueprint.search.takes_gradients
    gradient = blueprint.guidance.needs == "network" or through in ("network", "sampler")
    return None if rate is None or math.isinf(work.nfe) else work.nfe * (1 + gradient) / rate


def _measured(blueprint: Blueprint, work: Work) -> float | None:
    """Return the seconds that a job takes at the rate that was measured here; None if there is none."""
    plain = blueprint.plain
    path = Path(plain["out_dir"]).expanduser().absolute() / RATES
    if not work.missing:
        return 0.0
    if math.isinf(work.nfe):
        return None
    try:
        rate = json.loads(path.read_text(encoding="utf-8"))[rate_key(work.rate, blueprint.label["model"], plain)]
        return work.nfe / rate["nfe_per_second"] + rate["fixed_seconds"]
    except (FileNotFoundError, KeyError, TypeError, ValueError):  # not measured, or damaged
        return None
