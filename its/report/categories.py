"""Tables of prompts: what each category came to under every method, and what each prompt did."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from its.budget import CAP_COLUMNS, cap_of
from its.report.asked import PAIRWISE, REWARD, Asked, Scores, mean_of, scored_columns
from its.report.escape import csv_text
from its.report.numbers import significant
from its.report.runs import RunRecord, scorer
from its.report.series import Series
from its.report.tables import Table
from its.report.wins import wins_of

WON = "won_"
"""Beginning of the columns of win rates."""


@dataclass(frozen=True)
class PromptRuns:
    """The runs of a group that ask for the same prompts.

    Attributes:
        wishes: of their problems.
        scores: of their images.
    """

    runs: Sequence[RunRecord]
    series: Sequence[Series]
    wishes: Asked
    scores: Scores

    @property
    def columns(self) -> list[str]:
        """The columns of numbers that an image has of its own, and of win rates."""
        scored = list(dict.fromkeys(column for run in self.runs for column in scored_columns(run)))
        return [*scored, *(f"{WON}{column}" for column in scored if column != PAIRWISE)]

    def numbers(self, run: RunRecord, position: int) -> dict[str, np.ndarray]:
        """Return each image's numbers at one of a run's rows, `[images]` by column, as far as they are known."""
        cap = cap_of(run.rows[position])
        numbers = {}
        for column in scored_columns(run):
            if (of_images := self.scores(run, column)) is not None:
                numbers[column] = of_images[:, run.position(cap)]
            won = [] if column == PAIRWISE else wins_of(run, self.runs, column, self.scores)
            numbers |= {f"{WON}{column}": wins.outcomes for wins in won if wins.cap == cap}
        return numbers


def category_table(group: PromptRuns) -> Table | None:
    """Return the means of each category at the largest cap of each method; None if prompts have no category."""
    categories = group.wishes.images_in
    rows: list[list[str]] = []
    for line in group.series if categories else ():
        first_runs = {run.seed: run for run in reversed(line.runs)}.values()
        per_run = [group.numbers(run, len(run.rows) - 1) for run in first_runs]
        for category, problems in categories.items():
            means = []
            for column in group.columns:
                parts = [numbers[column][problems] for numbers in per_run if column in numbers]
                mean = mean_of(np.concatenate(parts)) if parts else None
                means.append("" if mean is None else significant(mean))
            rows.append([line.legend, category, str(len(problems)), *means])
    headers = (_header(column, group.runs) for column in group.columns)
    return (["method", "category", "images", *headers], rows) if rows else None


def _header(column: str, runs: Sequence[RunRecord]) -> str:
    won, name = column.startswith(WON), column.removeprefix(WON)
    label = {REWARD: "reward", PAIRWISE: "pairwise distance"}.get(name) or scorer(name, runs)
    return f"{label} wins ↑" if won else f"{label} ↑"


def prompts_csv(groups: Sequence[PromptRuns]) -> str:
    """Return a row for each prompt, run and cap: means over the prompt's images; floats keep every digit."""
    columns = list(dict.fromkeys(column for group in groups for column in group.columns))
    names = ("dataset", "model", "sampler", "search", "verifier", "seed")
    rows = [row for group in groups for run in group.runs for row in run.rows]
    caps = tuple(key for key in CAP_COLUMNS.values() if any(key in row for row in rows))
    text = io.StringIO()
    header = ["number", "prompt", "category", *names, "run", *caps, "images", *columns]
    writer = csv.DictWriter(text, fieldnames=header, restval="", lineterminator="\n")
    writer.writerow({name: csv_text(name) for name in header})
    for group in groups:
        for run in group.runs:
            labels = {name: csv_text(run.label[name]) for name in names} | {"run": csv_text(run.place)}
            writer.writerows(labels | row for row in _rows(group, run, caps))
    return text.getvalue()


def _rows(group: PromptRuns, run: RunRecord, caps: Sequence[str]) -> Iterator[dict[str, object]]:
    for position, row in enumerate(run.rows):
        numbers = group.numbers(run, position)
        for number, (prompt, problems) in enumerate(group.wishes.images_of.items(), start=1):
            category = group.wishes.categories[problems[0]]
            means = {column: mean_of(values[problems]) for column, values in numbers.items()}
            yield {
                "number": number,
                "prompt": csv_text(prompt),
                "category": csv_text(category or ""),
                **{key: row[key] for key in caps if row.get(key) is not None},
                "images": len(problems),
                **{column: "" if mean is None else mean for column, mean in means.items()},
            }
