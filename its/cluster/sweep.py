"""The runs of a sweep that a launcher was handed: what is left to do, who works on it, and what became of it."""

from __future__ import annotations

import json
import logging
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
from its.config.provenance import measured_here
from its.disk.files import read_text, write_atomic
from its.disk.run_folder import RunFolder
from its.disk.valid_json import to_json
from its.process.leave import exits_as_errors
from its.process.status import read_statuses

log = logging.getLogger(__name__)

RECORDS = ".slurm"
"""Folder of an experiment that holds a folder for each submission: batch scripts, logs, `jobs.json`, statuses."""

JOB_KEYS = {"metrics_config_hash": "asked", "candidates": "pool"}
"""Attributes that `jobs.json` writes under other keys, as it always has."""


@dataclass
class SweepRun:
    """One run of a sweep.

    Attributes:
        number: in the sweep.
        overrides: that make it.
        folder: of the run; None if its configuration is refused, for `reason`.
        images, metrics_config_hash, candidates, storage: what it is finished with; see `RunFolder.read_curve`.
        config: the configuration that belongs into its folder.
        job: that works on it.
        submission: the folder of that job's files.
        state: missing, finished, submitted or failed.
        reason: of its failure. traceback: of the process, if its code is to blame.
        nfe: that it is to spend yet, at most.
        verify: whether its own process is to read every byte of it, finished or not.
        name: the words that tell it from the sweep's other runs.
    """

    number: int
    overrides: tuple[str, ...]
    folder: str | None = None
    images: int = 0
    metrics_config_hash: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    job: str | None = None
    submission: str | None = None
    state: str = "missing"
    reason: str = ""
    traceback: str = ""
    candidates: bool = False
    storage: str = "none"
    nfe: float = 0.0
    verify: bool = False
    name: str = ""

    @classmethod
    def of(cls, number: int, overrides: Sequence[str], searchpath: Sequence[str], config: DictConfig) -> SweepRun:
        """Return the run of a composed job configuration; what is wrong with that is its reason to fail."""
        run = cls(number, (*overrides, *searchpath))
        try:
            with exits_as_errors():
                blueprint = Blueprint.of(*without_hydra(config))
            blueprint.check_folder()
            run.nfe = blueprint.work.nfe
            run.verify = blueprint.plain["verify"]
            if blueprint.finished and not run.verify:
                run.state = "finished"
            elif not blueprint.finished:
                blueprint.check_sources()
        except (ValueError, OSError, RuntimeError) as error:
            return run.fail(str(error))
        run.folder, run.images = str(blueprint.folder), blueprint.plain["images"]
        run.metrics_config_hash, run.candidates = blueprint.metrics_config_hash, blueprint.keep_candidates
        run.storage, run.config = blueprint.storage, blueprint.config
        return run

    @property
    def work(self) -> tuple[str | None, int, str, bool, str, bool]:
        """The work that it is: two runs of equal work need one job."""
        return (self.folder, self.images, self.metrics_config_hash, self.candidates, self.storage, self.verify)

    @property
    def files(self) -> RunFolder:
        """Its folder."""
        return RunFolder(Path(str(self.folder)))

    def finished(self) -> bool:
        """Return whether its curve, measured by the source here, or its schedule search's outcome is on disk.

        Of one that is to be verified its own process alone can tell.
        """
        if self.folder is None or self.verify:
            return False
        curve = self.files.read_curve(
            images=self.images,
            candidates=self.candidates,
            storage=self.storage,
            metrics_config_hash=self.metrics_config_hash,
        )
        return (curve is not None and measured_here(self.files)) or self.files.schedule.exists()

    def fail(self, reason: str) -> SweepRun:
        """Mark the run as failed, and return it."""
        self.state, self.reason = "failed", reason
        return self

    def conclude(self, ending: str) -> None:
        """Decide, now that its job is over: finished, or failed for the reason that its processes gave or `ending`."""
        statuses = Path(str(self.submission)) / "status"
        _forget_listing(self.files.path, statuses)
        told = read_statuses(statuses, self.number)
        if self.finished() or any(status["status"] == "finished" for status in told):
            self.state = "finished"
            return
        failures = [status for status in told if status["status"] == "failed"]
        self.fail(failures[0]["reason"] if failures else ending)
        self.traceback = failures[0].get("traceback", "") if failures else ""
        if not any(status["folder"] for status in failures):
            self._record_failure()

    def _record_failure(self) -> None:
        """Write the reason, which the process could not, to the run's folder unless that is another configuration's."""
        with suppress(ValueError):
            check_folder(Path(str(self.folder)), self.config)
            self.files.write_failure(self.reason, traceback="")


def nfe(runs: Iterable[SweepRun]) -> float:
    """Return the NFE that runs are to spend, at most; work that several of them share counts once."""
    return sum({run.work: run.nfe for run in runs}.values())


def _forget_listing(*folders: Path) -> None:
    """Make a network file system's client list folders anew, as submitit does; it may be a minute behind."""
    for folder in folders:
        with suppress(OSError):
            folder.chmod(folder.stat().st_mode)


def new_submission(experiment: Path) -> Path:
    """Make a new folder for the jobs that are submitted now, and return it."""
    folder = experiment / RECORDS / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    (folder / "status").mkdir(parents=True)
    return folder


def write_jobs(submission: Path, runs: Iterable[SweepRun]) -> None:
    """Write which job makes which run."""
    entries = [
        {JOB_KEYS.get(name, name): value for name, value in asdict(run).items()} for run in runs if run.job is not None
    ]
    write_atomic(submission / "jobs.json", (to_json(entries, indent=1) + "\n").encode())


def read_jobs(experiment: Path) -> list[SweepRun]:
    """Return every run that was ever submitted below an experiment, the latest submission last.

    A damaged record is named and passed over: what it says of its jobs is lost, and nothing else.
    """
    runs = list[SweepRun]()
    for path in sorted((experiment / RECORDS).glob("*/jobs.json")):
        try:
            runs += [_read_job(entry) for entry in json.loads(read_text(path))]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("%s is damaged (%s): its jobs are not known", path, " ".join(str(error).split()))
    return runs


def _read_job(entry: dict[str, Any]) -> SweepRun:
    names = {key: name for name, key in JOB_KEYS.items()}
    values = {names.get(key, key): value for key, value in entry.items()}
    return SweepRun(**{**values, "overrides": tuple(values["overrides"])})


def attach(runs: Sequence[SweepRun], experiment: Path, queue: Mapping[str, str]) -> None:
    """Give every missing run the living job that is to make it already."""
    alive = {run.work: run for run in read_jobs(experiment) if run.job in queue}
    for run in runs:
        if run.state == "missing" and (earlier := alive.get(run.work)) is not None:
            run.number, run.job, run.submission = earlier.number, earlier.job, earlier.submission
            run.state = "submitted"


def table(runs: Sequence[SweepRun]) -> str:
    """Return what became of every run, one line each; why some failed is told at the sweep's end."""
    return "\n".join(f"  {run.state:<9} {run.job or '-':<12} {run.name}" for run in runs)
