"""Experiments as the command line builds them, and what they leave on disk."""

import csv
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from its.run.build import Blueprint, build
from its.run.experiment import Experiment
from its.run.schedule_search import ScheduleRun

CONF = Path(__file__).parents[1] / "conf"


def make_experiment(out_dir: Path, *overrides: str) -> Experiment:
    """The experiment that `python run.py out_dir=... <overrides>` builds."""
    return build(*composed(out_dir, *overrides))


def make_schedule(out_dir: Path, *overrides: str) -> ScheduleRun:
    """The same of `search=schedule`."""
    return ScheduleRun.of(Blueprint.of(*composed(out_dir, *overrides)), overrides)


def composed(out_dir: Path, *overrides: str) -> tuple[DictConfig, dict[str, str], tuple[str, ...]]:
    """Configuration, choices and overrides as a job has them."""
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose("config", [f"out_dir={out_dir}", *overrides], return_hydra_config=True)
    choices = dict(config.hydra.runtime.choices)
    return OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]), choices, overrides


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
