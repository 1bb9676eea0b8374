"""The outcome of a schedule search: its sampler's YAML, a page, a figure, and every scored grid as a table."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml

from its.disk.run_folder import RunFolder
from its.report.escape import printable
from its.report.runs import FailedRun, read_failure
from its.report.style import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from its.search.schedule import Schedule

IMAGE_COUNTS = (1_000, 10_000, 50_000)
"""Numbers of images that the search's cost is divided among, beside the run's own."""


class ScoredGrid(NamedTuple):
    """A scored set of images.

    Attributes:
        times: listed; None for the sampler's own grid.
        draw: number of its noise: 0 in the search, others are fresh.
    """

    times: tuple[float, ...] | None
    draw: int
    score: float
    se: float
    nfe: int


@dataclass(frozen=True)
class ScheduleOutcome:
    """The outcome of a schedule search.

    Attributes:
        sampler: the YAML of the sampler whose times were searched.
        sampler_grid: its own grid, as near as a list comes to it.
        searched: every grid of the search, in order.
        finals: the finalists on fresh seeds.
        compared, baseline: the winner and the sampler's own grid on further ones, the same for both.
        sampling: NFE of one image.
    """

    label: Mapping[str, str]
    command: str
    images: int
    search: Schedule
    sampler: Mapping[str, Any]
    sampler_grid: tuple[float, ...]
    winner: tuple[float, ...]
    searched: Sequence[ScoredGrid]
    finals: Mapping[tuple[float, ...], Sequence[ScoredGrid]]
    compared: Sequence[ScoredGrid]
    baseline: Sequence[ScoredGrid]
    sampling: int

    @property
    def name(self) -> str:
        """Name of the sampler's YAML."""
        return f"schedule_{len(self.winner)}"

    @cached_property
    def cost(self) -> int:
        """NFE of finding the winner; the comparison is not part of it."""
        finals = [grid for grids in self.finals.values() for grid in grids]
        return sum(grid.nfe for grid in (*self.searched, *finals))

    def summary(self) -> dict[str, Any]:
        """Return the outcome as it is stored."""
        winner, plain = (np.array([grid.score for grid in grids]) for grids in (self.compared, self.baseline))
        return {
            **self.label,
            "command": self.command,
            "parameters": asdict(self.search),
            "winner": list(self.winner),
            "grids": len(self.searched),
            self.search.fitness: dict(zip(("mean", "se"), mean_se(winner), strict=True)),
            "own": {"mean": mean_se(plain)[0], "se": mean_se(plain)[1]},
            "difference": {"mean": mean_se(plain - winner)[0], "se": mean_se(plain - winner)[1]},
            "nfe": {
                "search": self.cost,
                "comparison": sum(grid.nfe for grid in (*self.compared, *self.baseline)),
                "sampling": self.sampling,
                "search_per_image": {str(n): self.cost / n for n in sorted({self.images, *IMAGE_COUNTS})},
            },
        }

    def yaml(self) -> str:
        """Return the sampler's YAML, with its score and its cost as comments."""
        summary = self.summary()
        mean, se = summary[self.search.fitness].values()
        lines = [
            f"# {len(self.winner)} times for {self.label['model']}, found by search=schedule: "
            f"{self.search.fitness} {mean:.4g} +- {se:.2g}, the sampler's own {summary['own']['mean']:.4g}.",
            f"# {self.cost} NFE: {self.command}",
        ]
        node = {**self.sampler, "steps": len(self.winner), "spacing": list(self.winner)}
        return "\n".join([*lines, str(yaml.safe_dump(node, sort_keys=False))])

    def markdown(self, folder: Path) -> str:
        """Return what the terminal and `schedule.md` show."""
        # Fill the tables.
        summary, fitness = self.summary(), self.search.fitness
        gain, se = summary["difference"].values()
        rows = [("found", summary[fitness], self.winner), ("the sampler's own", summary["own"], self.sampler_grid)]
        cost = [
            f"| {int(n):,} | {nfe:,.1f} | {nfe + self.sampling:,.1f} |"
            for n, nfe in summary["nfe"]["search_per_image"].items()
        ]
        return "\n".join(
            [
                f"{fitness} of {self.search.num_samples} images, mean of {self.search.fresh_seeds} fresh seeds, after "
                f"{len(self.searched)} grids ({self.search.strategy}, {self.search.genotype}):",
                "",
                "| grid | " + fitness + " | times |",
                "|---|---:|---|",
                *(
                    f"| {name} | {score['mean']:.4f} ± {score['se']:.4f} | {listed(times)} |"
                    for name, score, times in rows
                ),
                "",
                f"Difference on the same noise: {gain:.4f} ± {se:.4f}"
                + (f", {abs(gain) / se:.1f} standard errors." if se else "."),
                "",
                f"The search cost {self.cost:,} NFE; an image costs {self.sampling} more:",
                "",
                "| images | NFE of the search per image | with sampling |",
                "|---:|---:|---:|",
                *cost,
                "",
                "Use it:",
                "",
                f"    python run.py sampler={self.name} \"hydra.searchpath=['file://{folder / 'conf'}']\" ...",
            ]
        )


def write_outcome(files: RunFolder, outcome: ScheduleOutcome, sources: dict[str, Any]) -> None:
    """Write everything; the outcome that makes the search finished comes last.

    Args:
        sources: names of those that made it.
    """
    from its.report.figures import as_files

    files.write(files.path / "conf" / "sampler" / f"{outcome.name}.yaml", outcome.yaml().encode())
    files.write(files.path / "sets.csv", sets_csv(outcome).encode())
    files.write(files.path / "schedule.png", as_files(schedule_figure(outcome))["png"])
    files.write(files.path / "schedule.md", (outcome.markdown(files.path) + "\n").encode())
    files.finish(files.schedule, {**outcome.summary(), "sources": sources})


def schedule_lines(runs: Iterable[RunFolder], folder: Path) -> tuple[list[str], list[FailedRun]]:
    """Return all finished schedule searches below an experiment's folder, one a line; and those that cannot be read."""
    lines, unread = list[str](), list[FailedRun]()
    for run in runs:
        if os.path.lexists(run.schedule):
            try:
                lines.append(schedule_line(run, folder))
            except ValueError as error:
                unread.append(read_failure(run, folder, str(error)))
    return lines, unread


def schedule_line(run: RunFolder, folder: Path) -> str:
    """Return a finished schedule search below `folder` in one line.

    Raises:
        ValueError: its outcome is damaged, or lacks what it must have.
    """
    outcome = run.read_schedule()
    try:
        search, gain = outcome["parameters"], outcome["difference"]
        score = outcome[search["fitness"]]
        return printable(
            f"{search['strategy']:<10}{search['genotype']:<9}{search['fitness']:<5}{outcome['grids']:>5} grids  "
            f"{score['mean']:.4g} ± {score['se']:.2g}  own {outcome['own']['mean']:.4g}  gain {gain['mean']:.3g} "
            f"± {gain['se']:.2g}  {outcome['nfe']['search']:,} NFE  {listed(outcome['winner'])}  "
            f"{run.path.relative_to(folder)}"
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{run.schedule} cannot be read ({type(error).__name__}: {error})") from error


def sets_csv(outcome: ScheduleOutcome) -> str:
    """Return every scored set as a line; floats keep every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stage", "draw", outcome.search.fitness, f"{outcome.search.fitness}_se", "nfe", "times"])
    stages = {
        "search": outcome.searched,
        "finals": [grid for grids in outcome.finals.values() for grid in grids],
        "comparison": [*outcome.compared, *outcome.baseline],
    }
    for stage, grids in stages.items():
        for grid in grids:
            writer.writerow([stage, grid.draw, grid.score, grid.se, grid.nfe, listed(grid.times)])
    return text.getvalue()


def schedule_figure(outcome: ScheduleOutcome) -> Figure:
    """Draw the scores of the search in order, and the grids on the time axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    progress, grids = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _progress(progress, outcome)
    _grids(grids, outcome)
    for axes in (progress, grids):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    return figure


def _progress(axes: Axes, outcome: ScheduleOutcome) -> None:
    from matplotlib.ticker import FuncFormatter

    from its.search.schedule import LOWER

    # Plot every score and the best so far.
    scores = [grid.score for grid in outcome.searched]
    best = np.minimum.accumulate if LOWER[outcome.search.fitness] else np.maximum.accumulate
    number = range(1, 1 + len(scores))
    axes.plot(number, scores, ".", color="#999999", markersize=4, label="a grid")
    axes.plot(number, best(scores), color=PALETTE[0], linewidth=1.6, drawstyle="steps-post", label="best so far")
    if max(scores) > 4 * min(scores) > 0:
        axes.set_yscale("log")
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.tick_params(which="minor", labelsize=7)

    # Name the axes.
    axes.set_xlabel(f"grids scored ({outcome.search.strategy})", fontsize=8.5)
    axes.set_ylabel(
        f"{outcome.search.fitness.upper()} of {outcome.search.num_samples} images, search noise", fontsize=8.5
    )
    axes.legend(fontsize=7.5, frameon=False)


def _grids(axes: Axes, outcome: ScheduleOutcome) -> None:
    # The sampler's own grid, the winner, and the other finalists.
    rows = [
        ("its own", "#000000", outcome.sampler_grid, outcome.baseline),
        ("found", PALETTE[1], outcome.winner, outcome.compared),
    ]
    rows += [
        ("finalist", "#999999", times, grids) for times, grids in outcome.finals.items() if times != outcome.winner
    ]

    # One line of times for each, with its score.
    names = []
    for height, (name, colour, times, grids) in enumerate(rows):
        mean, se = mean_se(np.array([grid.score for grid in grids]))
        names.append(f"{name}\n{mean:.3f} ± {se:.3f}")
        axes.plot(times, [height] * len(times), "-o", color=colour, markersize=5, linewidth=0.8)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.invert_xaxis()
    axes.set_xlabel(f"times, noisiest first; {outcome.search.fitness.upper()} on fresh seeds", fontsize=8.5)


def listed(times: Sequence[float] | None) -> str:
    """Return times as a listed spacing; whole ones without their point."""
    return "its rule's" if times is None else f"[{','.join(f'{time:.10g}' for time in times)}]"


def mean_se(values: np.ndarray) -> tuple[float, float]:
    """Return the mean over draws and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
