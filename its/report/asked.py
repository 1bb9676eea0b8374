"""The prompts of a run's problems, and the scores of its images."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from its.disk.files import DamagedFile, read_file
from its.disk.run_folder import RunFolder
from its.report.escape import printable
from its.report.paired_differences import per_image
from its.report.runs import RunRecord, UnreadableRun

REWARD, PAIRWISE = "reward_mean", "pairwise"
"""Columns of a curve: the selecting verifier's reward, and how far an image lies from others of its prompt."""


@dataclass(frozen=True)
class Asked:
    """The prompts and categories of a run's problems, in their order, made printable; a category may be None."""

    prompts: tuple[str, ...]
    categories: tuple[str | None, ...]

    @cached_property
    def images_of(self) -> dict[str, np.ndarray]:
        """The problems that ask for each prompt, int64 `[images]`, prompts in the order in which they come."""
        problems: dict[str, list[int]] = {}
        for index, prompt in enumerate(self.prompts):
            problems.setdefault(prompt, []).append(index)
        return {prompt: np.array(indices) for prompt, indices in problems.items()}

    @cached_property
    def images_in(self) -> dict[str, np.ndarray]:
        """The problems of each category, in the order of their names; empty if there are no categories."""
        names = sorted({name for name in self.categories if name is not None})
        return {name: np.array([k for k, other in enumerate(self.categories) if other == name]) for name in names}


def asked_by(folder: Path, run: RunRecord) -> Asked | None:
    """Return what a run's problems asked for; None if it left none on record, as a run without prompts.

    Args:
        folder: of the experiment.

    Raises:
        UnreadableRun: the file is not what was written.
    """
    files = RunFolder(folder / run.folder)
    try:
        content = read_file(files.problems)
        if content is None:
            return None
        if not files.agrees(files.problems):
            raise DamagedFile(f"{files.problems} is not what was written")
        entries = [json.loads(line) for line in content.decode().split("\n")[: run.images] if line]
        prompts = tuple(printable(str(entry["prompt"])) for entry in entries)
        categories = tuple(printable(str(each)) if (each := entry.get("category")) else None for entry in entries)
    except DamagedFile as damage:
        raise UnreadableRun(run.folder, damage) from damage
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableRun(run.folder, DamagedFile(f"{files.problems} is damaged ({error})")) from error
    return Asked(prompts, categories)


def scored_columns(run: RunRecord) -> list[str]:
    """Return the columns of which each image of a run has a number of its own."""
    return [column for column in (REWARD, *run.held_out, PAIRWISE) if any(column in row for row in run.rows)]


Scores = Callable[[RunRecord, str], np.ndarray | None]
"""Returns each image's number at each cap, float64 `[images, caps]`, by run and column; None where it is not known."""


def scores_in(folder: Path) -> Scores:
    """Return a reader of scores below an experiment's folder, which reads each once.

    Raises:
        UnreadableRun: on reading, a file is damaged.
    """
    read: dict[tuple[Path, str], np.ndarray | None] = {}

    def scores(run: RunRecord, column: str) -> np.ndarray | None:
        key = (run.folder, column)
        if key not in read:
            try:
                numbers = per_image(folder / run.folder, run.images, column)
            except DamagedFile as damage:
                raise UnreadableRun(run.folder, damage) from damage
            read[key] = numbers if numbers is None or numbers.ndim == 2 else None  # a relative verifier only ranks
        return read[key]

    return scores


def mean_of(values: Sequence[float] | np.ndarray) -> float | None:
    """Return the mean of numbers, of those that are known; None if none is."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    return float(numbers.mean()) if len(numbers) else None
