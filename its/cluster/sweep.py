"""The runs of a sweep that were handed to a launcher: what is left to do, who works on it, and what became of it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from its.config.blueprint import Blueprint
from its.config.composed import without_hydra
from its.config.folder import check_folder
from its.disk.store import write_atomic
from its.disk.summary import SUMMARY, read_curve
from its.process.status import read_statuses

RECORDS = ".slurm"
"""Folder of an experiment that holds a folder for each submission: batch scripts, logs, `jobs.json`, statuses."""


@dataclass
class SweepRun:
    """One run of a sweep.

    Attributes:
        number: in the sweep. overrides: that make it.
        folder: of the run; None if its configuration is refused, for `reason`.
        images, asked, pool: what it is finished with.
        config: the run's `config.yaml`.
        job: that works on it. submission: the folder of that job's files.
        state: missing, finished, submitted or failed.
        nfe: that it is to spend yet, at most.
    """

    number: int
    overrides: tuple[str, ...]
    folder: str | None = None
    images: int = 0
    asked: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    job: str | None = None
    submission: str | None = None
    state: str = "missing"
    reason: str = ""
    pool: bool = False
    nfe: float = 0.0

    @classmethod
    def of(cls, number: int, overrides: Sequence[str], searchpath: Sequence[str], config: DictConfig) -> SweepRun:
        """From a composed job configuration; what is wrong with it is its reason to fail."""
        run = cls(number, (*overrides, *searchpath))
        try:
            blueprint = Blueprint.of(*without_hydra(config))
            blueprint.check_folder()
            run.nfe = blueprint.work.nfe
        except (ValueError, OSError) as error:
            return run.fail(str(error))
        run.folder, run.images, run.asked = str(blueprint.folder), blueprint.plain["images"], blueprint.asked
        run.pool = blueprint.keep_candidates
        run.config = blueprint.config
        run.state = "finished" if blueprint.finished else "missing"
        return run

    @property
    def key(self) -> tuple[str | None, int, str, bool]:
        """What it makes: two runs of one key are the same work."""
        return (self.folder, self.images, self.asked, self.pool)

    def finished(self) -> bool:
        """Whether its curve, or what a schedule search found, is on disk."""
        if self.folder is None:
            return False
        if (Path(self.folder) / SUMMARY).exists():
            return True
        return read_curve(Path(self.folder), images=self.images, asked=self.asked, pool=self.pool) is not None

    def fail(self, reason: str) -> SweepRun:
        """Failed, for a reason."""
        self.state, self.reason = "failed", reason
        return self

    def settle(self, ending: str) -> None:
        """Its job is over: finished, or failed for the reason that its processes told, else for `ending`."""
        folder = Path(str(self.submission)) / "status"
        _ask_anew(Path(str(self.folder)), folder)
        if self.finished():
            self.state = "finished"
            return
        told = [status for status in read_statuses(folder, self.number) if status["status"] == "failed"]
        self.fail(told[0]["reason"] if told else ending)
        if not any(status["folder"] for status in told):
            self._record()

    def _record(self) -> None:
        """Leave the reason in its folder, where the process could not; unless that belongs to something else."""
        folder = Path(str(self.folder))
        with suppress(ValueError):
            check_folder(folder, self.config)
            entry = {"reason": self.reason, "traceback": ""}
            write_atomic(folder / "failed.json", (json.dumps(entry, indent=1) + "\n").encode())


def nfe(runs: Iterable[SweepRun]) -> float:
    """What these runs are to spend, at most; work that several of them share counts once."""
    return sum({run.key: run.nfe for run in runs}.values())


def _ask_anew(*folders: Path) -> None:
    """Let a network file system's client forget what it remembers of folders, up to a minute old: submitit's way."""
    for folder in folders:
        with suppress(OSError):
            folder.chmod(folder.stat().st_mode)


def new_submission(experiment: Path) -> Path:
    """A new folder for what is submitted now."""
    folder = experiment / RECORDS / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    (folder / "status").mkdir(parents=True)
    return folder


def write_jobs(submission: Path, runs: Iterable[SweepRun]) -> None:
    """Remember which job makes which run."""
    entries = [asdict(run) for run in runs if run.job is not None]
    write_atomic(submission / "jobs.json", (json.dumps(entries, indent=1) + "\n").encode())


def read_jobs(experiment: Path) -> list[SweepRun]:
    """Every run that was ever submitted below an experiment, the latest submission last."""
    paths = sorted((experiment / RECORDS).glob("*/jobs.json"))
    return [
        SweepRun(**{**entry, "overrides": tuple(entry["overrides"])})
        for path in paths
        for entry in json.loads(path.read_text(encoding="utf-8"))
    ]


def attach(runs: Sequence[SweepRun], experiment: Path, queue: Mapping[str, str]) -> None:
    """Give every run that a living job is to make already that job."""
    working = {run.key: run for run in read_jobs(experiment) if run.job in queue}
    for run in runs:
        if run.state == "missing" and (found := working.get(run.key)) is not None:
            run.number, run.job, run.submission, run.state = found.number, found.job, found.submission, "submitted"


def table(runs: Sequence[SweepRun]) -> str:
    """What became of every run, one line each."""
    lines = []
    for run in runs:
        job = run.job or "-"
        reason = f": {' '.join(run.reason.split())}" if run.reason else ""
        lines.append(f"  {run.state:<9} {job:<12} {' '.join(run.overrides)}{reason}")
    return "\n".join(lines)
