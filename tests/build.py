"""Experiments as the command line builds them, and what they leave on disk."""

import csv
from pathlib import Path

import numpy as np

from its.config.blueprint import Blueprint
from its.config.composed import composed
from its.config.searchpath import CONF
from its.disk.array_file import from_bytes
from its.run.build import build
from its.run.experiment import Experiment
from its.run.schedule_search import ScheduleRun

__all__ = [
    "CONF",
    "SMALL",
    "arrays_in",
    "blueprint_of",
    "contents",
    "make_experiment",
    "make_schedule",
    "numbers",
    "obstruct",
]


SMALL = ("sampler.steps=3", "budget.samplings=[1,2]", "batch=8", "~metric.prc", "~metric.kid")
"""Words of a run that takes a moment, whatever its dataset."""


def make_experiment(out_dir: Path, *overrides: str) -> Experiment:
    """The experiment that `python run.py out_dir=... <overrides>` builds."""
    return build(blueprint_of(out_dir, *overrides))


def make_schedule(out_dir: Path, *overrides: str) -> ScheduleRun:
    """The same of `search=schedule`."""
    return build(blueprint_of(out_dir, *overrides))


def blueprint_of(out_dir: Path, *overrides: str, planning: bool = False) -> Blueprint:
    """The blueprint that these words of run.py come to."""
    return Blueprint.of(*composed([f"out_dir={out_dir}", *overrides]), planning=planning)


def arrays_in(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a run's file, whatever its line says."""
    return from_bytes(path.read_bytes())


def obstruct(folder: Path) -> None:
    """Let the run in `folder` fail when it begins: a file is where its shards' folder belongs."""
    folder.mkdir(parents=True)
    (folder / "shards").touch()


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file that time does not decide, by path."""
    dated = {"timing.jsonl", "curve.csv", "curve.png", "metrics.json"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in dated
    }


def numbers(folder: Path) -> list[dict[str, str]]:
    with (folder / "curve.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
