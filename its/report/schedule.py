"""What a schedule search found: its sampler's YAML, a page, a figure, and every scored grid as a table."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml

from its.disk.store import write_atomic
from its.disk.summary import SUMMARY
from its.report.draw import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from its.search.schedule import Schedule

TOLD = (1_000, 10_000, 50_000)
"""Numbers of images that the search's cost is divided among, beside the run's own."""


class Scored(NamedTuple):
    """One set of images.

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
class Found:
    """The outcome.

    Attributes:
        sampler: the YAML of the sampler whose times were searched. own: its grid, as near as a list comes to it.
        searched: every grid of the search, in order. finals: the finalists on fresh seeds.
        compared, baseline: the winner and the sampler's own grid on further ones, the same for both.
        sampling: NFE of one image.
    """

    label: Mapping[str, str]
    command: str
    images: int
    search: Schedule
    sampler: Mapping[str, Any]
    own: tuple[float, ...]
    winner: tuple[float, ...]
    searched: Sequence[Scored]
    finals: Mapping[tuple[float, ...], Sequence[Scored]]
    compared: Sequence[Scored]
    baseline: Sequence[Scored]
    sampling: int

    @property
    def name(self) -> str:
        """Of the sampler's YAML."""
        return f"schedule_{len(self.winner)}"

    @cached_property
    def cost(self) -> int:
        """NFE of finding the winner; the comparison is not part of it."""
        return sum(one.nfe for one in (*self.searched, *(one for final in self.finals.values() for one in final)))

    def summary(self) -> dict[str, Any]:
        """What `schedule.json` holds."""
        winner, own = (np.array([one.score for one in sets]) for sets in (self.compared, self.baseline))
        return {
            **self.label,
            "command": self.command,
            "parameters": asdict(self.search),
            "winner": list(self.winner),
            "grids": len(self.searched),
            self.search.fitness: dict(zip(("mean", "se"), mean_se(winner), strict=True)),
            "own": {"mean": mean_se(own)[0], "se": mean_se(own)[1]},
            "difference": {"mean": mean_se(own - winner)[0], "se": mean_se(own - winner)[1]},
            "nfe": {
                "search": self.cost,
                "comparison": sum(one.nfe for one in (*self.compared, *self.baseline)),
                "sampling": self.sampling,
                "search_per_image": {str(n): self.cost / n for n in sorted({self.images, *TOLD})},
            },
        }

    def yaml(self) -> str:
        """The sampler."""
        told = self.summary()
        mean, se = told[self.search.fitness].values()
        lines = [
            f"# {len(self.winner)} times for {self.label['model']}, found by search=schedule: "
            f"{self.search.fitness} {mean:.4g} +- {se:.2g}, the sampler's own {told['own']['mean']:.4g}.",
            f"# {self.cost} NFE: {self.command}",
        ]
        node = {**self.sampler, "steps": len(self.winner), "spacing": list(self.winner)}
        return "\n".join([*lines, str(yaml.safe_dump(node, sort_keys=False))])

    def markdown(self, folder: Path) -> str:
        """What the terminal and `schedule.md` show."""
        told, fitness = self.summary(), self.search.fitness
        gain, se = told["difference"].values()
        rows = [("found", told[fitness], self.winner), ("the sampler's own", told["own"], self.own)]
        cost = [
            f"| {int(n):,} | {nfe:,.1f} | {nfe + self.sampling:,.1f} |"
            for n, nfe in told["nfe"]["search_per_image"].items()
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


def write_found(folder: Path, found: Found) -> None:
    """Write everything; `schedule.json` last."""
    from its.report.figures import as_files

    write_atomic(folder / "conf" / "sampler" / f"{found.name}.yaml", found.yaml().encode())
    write_atomic(folder / "sets.csv", sets_csv(found).encode())
    write_atomic(folder / "schedule.png", as_files(schedule_figure(found))["png"])
    write_atomic(folder / "schedule.md", (found.markdown(folder) + "\n").encode())
    write_atomic(folder / SUMMARY, (json.dumps(found.summary(), indent=1, sort_keys=True) + "\n").encode())


def schedule_table(folder: Path) -> str:
    """All finished schedule searches below an experiment's folder, one a line; empty if there are none."""
    lines = []
    for path in sorted(folder.rglob(SUMMARY)):
        told = json.loads(path.read_text(encoding="utf-8"))
        search, gain = told["parameters"], told["difference"]
        found = told[search["fitness"]]
        lines.append(
            f"{search['strategy']:<10}{search['genotype']:<9}{search['fitness']:<5}{told['grids']:>5} grids  "
            f"{found['mean']:.4g} ± {found['se']:.2g}  own {told['own']['mean']:.4g}  gain {gain['mean']:.3g} "
            f"± {gain['se']:.2g}  {told['nfe']['search']:,} NFE  {listed(told['winner'])}  "
            f"{path.parent.relative_to(folder)}"
        )
    return "\n".join(lines)


def sets_csv(found: Found) -> str:
    """Every scored set as a line; floats keep every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["stage", "draw", found.search.fitness, f"{found.search.fitness}_se", "nfe", "times"])
    stages = {
        "search": found.searched,
        "finals": [one for final in found.finals.values() for one in final],
        "comparison": [*found.compared, *found.baseline],
    }
    for stage, sets in stages.items():
        for one in sets:
            writer.writerow([stage, one.draw, one.score, one.se, one.nfe, listed(one.times)])
    return text.getvalue()


def schedule_figure(found: Found) -> Figure:
    """The scores of the search in order, and the grids on the time axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _progress(left, found)
    _grids(right, found)
    for axes in (left, right):
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    return figure


def _progress(axes: Axes, found: Found) -> None:
    from matplotlib.ticker import FuncFormatter

    from its.search.schedule import LOWER

    scores = [one.score for one in found.searched]
    best = np.minimum.accumulate if LOWER[found.search.fitness] else np.maximum.accumulate
    number = range(1, 1 + len(scores))
    axes.plot(number, scores, ".", color="#999999", markersize=4, label="a grid")
    axes.plot(number, best(scores), color=PALETTE[0], linewidth=1.6, drawstyle="steps-post", label="best so far")
    if max(scores) > 4 * min(scores) > 0:
        axes.set_yscale("log")
        for axis in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.tick_params(which="minor", labelsize=7)
    axes.set_xlabel(f"grids scored ({found.search.strategy})", fontsize=8.5)
    axes.set_ylabel(f"{found.search.fitness.upper()} of {found.search.num_samples} images, search noise", fontsize=8.5)
    axes.legend(fontsize=7.5, frameon=False)


def _grids(axes: Axes, found: Found) -> None:
    rows = [("its own", "#000000", found.own, found.baseline), ("found", PALETTE[1], found.winner, found.compared)]
    rows += [("finalist", "#999999", times, sets) for times, sets in found.finals.items() if times != found.winner]
    names = []
    for height, (name, colour, times, sets) in enumerate(rows):
        mean, se = mean_se(np.array([one.score for one in sets]))
        names.append(f"{name}\n{mean:.3f} ± {se:.3f}")
        axes.plot(times, [height] * len(times), "-o", color=colour, markersize=5, linewidth=0.8)
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.invert_xaxis()
    axes.set_xlabel(f"times, noisiest first; {found.search.fitness.upper()} on fresh seeds", fontsize=8.5)


def listed(times: Sequence[float] | None) -> str:
    """Times as a listed spacing; whole ones without their point."""
    return "its rule's" if times is None else f"[{','.join(f'{time:.10g}' for time in times)}]"


def mean_se(values: np.ndarray) -> tuple[float, float]:
    """Mean over draws and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
