"""A group of comparable runs with everything that the report shows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from its.report.caption import FORWARDS, goes_back, wrapped
from its.report.figures import as_files, group_figure
from its.report.panels import Panel, cost_panels, front_panels, hacking_panels, paired_panels
from its.report.runs import Group, RunRecord, grouped
from its.report.series import Series, series_of
from its.report.strips import Strip, seed_of, strips_figure, strips_of


class Plot(NamedTuple):
    """Panels that share a heading; `name` is that of their files, `note` says how to read them."""

    name: str
    heading: str
    note: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Section:
    """One group.

    Attributes:
        plots: those that have a panel.
        strips: the same problems under every method.
    """

    group: Group
    runs: tuple[RunRecord, ...]
    series: tuple[Series, ...]
    plots: tuple[Plot, ...]
    strips: tuple[Strip, ...]

    @property
    def labels(self) -> list[str]:
        """Of the series."""
        return [one.label for one in self.series]

    @property
    def samples_note(self) -> str:
        """What the strips show."""
        classes = ", ".join(map(str, self.strips[0].classes))
        wanted = f", wanted classes {classes}" if classes else ""
        return f"The same first problems, with the same noise, under every method: seed {seed_of(self.series)}{wanted}."

    def files(self) -> dict[str, bytes]:
        """Its figures, by name and ending."""
        made = {
            f"{plot.name}.{kind}": content
            for plot in self.plots
            for kind, content in as_files(group_figure(self.runs, self.series, plot.panels)).items()
        }
        if self.strips:
            figure = strips_figure(self.strips, self.labels, wrapped(f"{self.group.title}. {self.samples_note}"))
            made |= {f"samples.{kind}": content for kind, content in as_files(figure).items()}
        return made


def sections_of(folder: Path, runs: Sequence[RunRecord]) -> list[Section]:
    """A section for each group of comparable runs below `folder`."""
    return [_section(folder, group, members) for group, members in grouped(runs).items()]


def _section(folder: Path, group: Group, runs: Sequence[RunRecord]) -> Section:
    series = series_of(runs)
    plots = [
        Plot(
            "fid_vs_nfe",
            "Against network evaluations",
            "Bands: ± one standard error, over seeds where there are "
            f"three or more, else over images.{f' {FORWARDS}' if goes_back(runs) else ''}",
            cost_panels(runs, series),
        ),
        Plot(
            "fid_vs_flops",
            "Against FLOPs",
            "Everything counts: network, backward passes (as two forwards), verifier and decoder.",
            cost_panels(runs, series, cost="flops"),
        ),
        Plot(
            "fid_vs_seconds",
            "Against measured time",
            "Seconds that one device was busy with an image, as they were "
            "measured; divided among a run's caps by NFE. What else the machine did is in them.",
            cost_panels(runs, series, cost="seconds"),
        ),
        Plot(
            "paired",
            "Differences to random at equal budget",
            "Problem by problem with the same noise, against the "
            "random search that selects by the same verifier. Bars: intervals of 95 %, over problems; of FID to "
            "first order (infinitesimal jackknife). An interval that misses 0 is a difference that these images show.",
            paired_panels(folder, runs, series),
        ),
        Plot(
            "pareto", "Pareto front", "Grey: the runs that none beats in both cost and FID.", front_panels(runs, series)
        ),
        Plot(
            "hacking",
            "Is the verifier hacked?",
            "To the right the search finds what its verifier likes better. "
            "Where a metric that the search never saw turns for the worse, the verifier is being hacked.",
            hacking_panels(runs, series),
        ),
    ]
    return Section(
        group,
        tuple(runs),
        tuple(series),
        tuple(plot for plot in plots if plot.panels),
        tuple(strips_of(folder, series)),
    )
