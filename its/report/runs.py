"""The runs under an experiment folder, as their summaries describe them, and which of them may be compared."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from its.budget import CAP_COLUMNS, Cap, cap_of
from its.disk.columns import HELD_OUT
from its.disk.files import DamagedFile
from its.disk.run_folder import RunFolder
from its.disk.run_folders import run_folders
from its.disk.verdicts import Verdicts, read_verdicts
from its.report.escape import printable
from its.report.origin import devices_and_versions, source_files
from its.report.protocol import sentence
from its.report.published import PublishedTable, tables_of
from its.report.shares import with_verdicts

Row = dict[str, Any]

LABELS = ("name", "dataset", "model", "sampler", "search", "verifier", "budget", "metric", "seed")
"""Columns that name a run, in the order in which they are written."""

COLUMNS = (
    *CAP_COLUMNS.values(),
    "nfe",
    "nfe_backward",
    "verifier_calls",
    "decoder_calls",
    "decoder_backward",
    "flops",
    "seconds",
    "images",
    "reward_mean",
    "reward_mean_se",
    "pairwise",
    "pairwise_se",
    "fid",
    "fid_se",
    "kid",
    "kid_se",
    "isc",
    "isc_se",
    "precision",
    "precision_se",
    "recall",
    "accuracy",
    "accuracy_se",
)
"""Columns of a curve in the order in which they are written; others follow as they come."""

_PLACE_OR_TIME = (
    *("images", "prompt", "dataset.path", "dataset.images_per_prompt", "shard", "batch"),
    *("gradient_batch", "decode_batch", "verify_batch", "rows", "rows_bytes", "device"),
    *("workers", "out_dir", "plugins", "verify", "allow_edited", "keep_candidates"),
    *("store.images", "reporting", "nfe_per_second", "search.keep_pool"),
)
"""Overrides that cannot set two methods apart."""


_MEASURING = ("budget", "metric", "hydra", "report", "verifier@report")
"""Groups of overrides that cannot either, or that have a label of their own."""


@dataclass(frozen=True)
class RunRecord:
    """One finished run.

    Attributes:
        folder: relative to the experiment's.
        label: the choice in each group, `name` and `seed`.
        rows: of the curve, one per cap, which stands in `nfe_cap`, None where there was none, or `verifier_calls_cap`.
        caps: those of the whole curve, as the run's shards order them.
        devices, versions: on and with which its shards were made; empty if that is not on record.
        sources: names and digests of the files that made and measured it, as far as they are on record.
        protocol: the sentence that stands beside its FID; empty of a version that left none on record.
        prompts: first digits of the sha256 of its list of prompts; empty of a run without.
        verdicts: of judges outside.
        own_scores: columns of held-out verifiers that select as well, and so measure nothing in this run.
        published: tables that are shown beside it.
        rendered: the sampler that sampled the winners once more, with its values; empty of a run itself.
    """

    folder: Path
    label: dict[str, str]
    command: str
    images: int
    rows: tuple[Row, ...]
    nan_rewards: int = 0
    caps: tuple[float | None, ...] = ()
    devices: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    sources: frozenset[tuple[str, str]] = frozenset()
    protocol: str = ""
    rendered: str = ""
    prompts: str = ""
    verdicts: tuple[Verdicts, ...] = ()
    own_scores: frozenset[str] = frozenset()
    published: tuple[PublishedTable, ...] = ()

    @property
    def place(self) -> str:
        """Its folder as text."""
        return printable(self.folder.as_posix())

    @property
    def held_out(self) -> list[str]:
        """Columns of its held-out verifiers."""
        columns = dict.fromkeys(column for row in self.rows for column in row if column.startswith(HELD_OUT))
        return [column for column in columns if not column.endswith("_se")]

    def position(self, cap: Cap) -> int:
        """Return the position of one of its caps in its arrays."""
        return self.caps.index(cap.value)

    @property
    def search(self) -> str:
        return self.label["search"]

    @property
    def guidance(self) -> str:
        """Its guidance, as the name of its search has it."""
        return self.search.partition("+")[2] or "none"

    @property
    def verifier(self) -> str:
        return self.label["verifier"]

    @property
    def seed(self) -> str:
        return self.label["seed"]

    @cached_property
    def settings(self) -> frozenset[str]:
        """Overrides that may change a method beyond its names, its seed and its caps."""
        named = {*LABELS, "guidance", *_PLACE_OR_TIME}
        overrides = [(word, word.lstrip("+~").partition("=")[0]) for word in overrides_of(self.command)]
        settings = {word for word, key in overrides if key not in named and key.split(".")[0] not in _MEASURING}
        return frozenset(settings | ({f"rendered by {self.rendered}"} if self.rendered else set()))


@dataclass(frozen=True)
class FailedRun:
    """A run without a curve that can be read, and why, in one line."""

    folder: Path
    reason: str

    @property
    def place(self) -> str:
        """Its folder as text."""
        return printable(self.folder.as_posix())


class UnreadableRun(ValueError):
    """A run of which a file that a figure is drawn from is damaged.

    Args:
        folder: relative to the experiment's.
    """

    def __init__(self, folder: Path, damage: DamagedFile) -> None:
        super().__init__(f"{damage}; run its command again")
        self.folder = folder


class Group(NamedTuple):
    """A group of runs that may stand in one figure: they share all of this."""

    dataset: str
    model: str
    sampler: str
    images: int
    prompts: str = ""

    @property
    def title(self) -> str:
        prompts = f" · prompts {self.prompts}" if self.prompts else ""
        return f"{self.dataset} · {self.model}–{self.sampler} · {self.images:,} images{prompts}"

    @property
    def file_suffix(self) -> str:
        prompts = f"_{self.prompts}" if self.prompts else ""
        return f"{self.dataset}_{self.model}-{self.sampler}_{self.images}{prompts}"


def scorer(column: str, runs: Sequence[RunRecord]) -> str:
    """Return the name of a held-out verifier by its column, which says so where it selects in none of the runs."""
    name = column.removeprefix(HELD_OUT)
    return name if any(column in run.own_scores for run in runs) else f"{name}, held out"


def load_runs(folder: Path) -> list[RunRecord]:
    """Read every finished run under an experiment folder, without renderings, in the order of their folders.

    Raises:
        ValueError: a summary is damaged, or lacks what it must have.
    """
    return [read_run(run, folder) for run in run_folders(folder) if os.path.lexists(run.summary)]


def load_failures(folder: Path) -> list[FailedRun]:
    """Read every run that failed and has no curve."""
    return [read_failure(run, folder) for run in run_folders(folder) if run.state == "failed"]


def read_run(run: RunFolder, folder: Path) -> RunRecord:
    """Read a finished run below `folder`; what it says is made printable.

    Raises:
        ValueError: its summary is damaged, or lacks what it must have.
    """
    try:
        summary = run.read_summary()
        _check_curve(summary)
        command = printable(summary["command"])
        overrides_of(command)
        verdicts = read_verdicts(run)
        return RunRecord(
            run.path.relative_to(folder),
            {key: printable(str(summary[key])) for key in LABELS},
            command,
            summary["images"],
            tuple(with_verdicts(row, verdicts) for row in summary["curve"]),
            summary.get("nan_rewards", 0),
            tuple(summary["caps"]),
            *devices_and_versions(run.store.notes()),
            source_files(run, summary.get("sources", {})),
            printable(sentence(summary["protocol"])) if "protocol" in summary else "",
            prompts=printable(str(summary.get("protocol", {}).get("prompts_sha256", ""))[:8]),
            verdicts=tuple(verdicts),
            own_scores=frozenset(f"{HELD_OUT}{name}" for name in summary.get("own_scores", ())),
            published=tables_of(summary.get("published", [])),
        )
    except DamagedFile:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{run.summary} cannot be read ({type(error).__name__}: {error}); run its command again, which keeps the "
            "finished shards"
        ) from error


def read_failure(run: RunFolder, folder: Path, reason: str = "") -> FailedRun:
    """Read why a run below `folder` failed, unless a reason is given."""
    return FailedRun(run.path.relative_to(folder), printable(" ".join((reason or run.read_failure()).split())))


def _check_curve(summary: Mapping[str, Any]) -> None:
    """Refuse a summary whose curve is no table of numbers.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it is not.
    """
    rows, caps, counts = summary["curve"], summary["caps"], (summary["images"], summary.get("nan_rewards", 0))
    numbers = [value for row in rows for value in row.values() if value is not None]
    needed = [row[key] for row in rows for key in ("nfe", "images")]
    if not rows or not all(isinstance(value, int | float) for value in (*numbers, *needed, *counts)):
        raise ValueError("its curve is no table of numbers")
    if not {cap_of(row).value for row in rows} <= set(caps) or not str(summary["seed"]).isdecimal():
        raise ValueError("its caps are not those of its curve, or its seed is no number")


def spent(row: Row, cost: str) -> Any:
    """Return what a row has cost: NFE are the search's and, of a rendering, those of the last sampling."""
    return row[cost] + row.get("nfe_final", 0.0) if cost == "nfe" else row.get(cost)


def grouped(runs: Sequence[RunRecord]) -> dict[Group, list[RunRecord]]:
    """Sort runs into groups that may be compared; rows of another number of images stand in another group."""
    groups: dict[Group, list[RunRecord]] = {}
    for run in runs:
        for images in sorted({row["images"] for row in run.rows}):
            group = Group(run.label["dataset"], run.label["model"], run.label["sampler"], images, run.prompts)
            rows = tuple(row for row in run.rows if row["images"] == images)
            groups.setdefault(group, []).append(replace(run, images=images, rows=rows))
    return dict(sorted(groups.items()))


def overrides_of(command: str) -> list[str]:
    """Return the words of a command after `python run.py`, without flags."""
    return [word for word in shlex.split(command)[2:] if not word.startswith("-")]
