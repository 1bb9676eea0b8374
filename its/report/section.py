"""A group of comparable runs with everything that the report shows of it, each part computed when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from its.disk.run_folder import RunFolder
from its.report.asked import asked_by, scores_in
from its.report.caption import FORWARDS, goes_back, wrapped
from its.report.categories import PromptRuns, category_table
from its.report.digest import code_digest, digest, run_digest
from its.report.figures import group_figure
from its.report.panels import Panel, cost_panels, front_panels, hacking_panels, paired_panels
from its.report.runs import Group, RunRecord, grouped
from its.report.series import Series, series_of
from its.report.sheets import sheet_names, sheets_of
from its.report.strips import Strip, seed_of, strips_figure, strips_of
from its.report.tables import Table
from its.report.verdicts import verdict_tables
from its.report.wins import win_note, win_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


RENDERED = "Rendered winners stand at the NFE of their search and of their last sampling together."


class Plot(NamedTuple):
    """Panels that share a heading; `name` is that of their files, `note` says how to read them."""

    name: str
    heading: str
    note: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Section:
    """A group of runs.

    Attributes:
        folder: of the experiment.
        suffix: of its figures' names; empty if it is the only group.
        inputs: digest of all that its figures and its part of the page are made from.
    """

    folder: Path
    group: Group
    runs: tuple[RunRecord, ...]
    suffix: str
    inputs: str

    @cached_property
    def series(self) -> list[Series]:
        """Its methods."""
        return series_of(self.runs)

    @property
    def legends(self) -> list[str]:
        """Names of the series."""
        return [series.legend for series in self.series]

    @cached_property
    def plots(self) -> list[Plot]:
        """Its plots that have a panel, and win rates also where a note says why there is none."""
        plots = _plots(self.folder, self.runs, self.series)
        wins = [] if self.prompt_runs is None else [_wins(self.prompt_runs)]
        return [*(plot for plot in plots if plot.panels), *wins]

    @cached_property
    def prompt_runs(self) -> PromptRuns | None:
        """Its runs with what they were asked for; None if that is no prompts."""
        wishes = next((wishes for run in self.runs if (wishes := asked_by(self.folder, run))), None)
        return None if wishes is None else PromptRuns(self.runs, self.series, wishes, scores_in(self.folder))

    @cached_property
    def categories(self) -> Table | None:
        """The table of categories of prompts; None without any."""
        return None if self.prompt_runs is None else category_table(self.prompt_runs)

    @cached_property
    def verdicts(self) -> dict[str, Table]:
        """What each judge outside found, by tag."""
        return verdict_tables(self.runs, self.series)

    @property
    def sheet_names(self) -> list[str]:
        """Names of the contact sheets, one for each prompt."""
        return [] if self.prompt_runs is None else sheet_names(self.prompt_runs, self.suffix)

    def sheets(self, most: int | None = None) -> Iterator[bytes]:
        """Yield the contact sheets of the first prompts, or of all, as PNG."""
        return iter(()) if self.prompt_runs is None else sheets_of(self.folder, self.prompt_runs, most)

    @cached_property
    def strips(self) -> list[Strip]:
        """The same problems under every method."""
        return strips_of(self.folder, self.series)

    @property
    def samples_note(self) -> str:
        """The line that says what the strips show."""
        classes = ", ".join(map(str, self.strips[0].classes))
        seed, request = seed_of(self.series), f", wanted classes {classes}" if classes else ""
        return f"The same first problems, with the same noise, under every method: seed {seed}{request}."

    @cached_property
    def figures(self) -> dict[str, Callable[[], Figure]]:
        """A function that draws each of its figures, by name."""
        figures: dict[str, Callable[[], Figure]] = {
            f"{plot.name}{self.suffix}": partial(group_figure, self.runs, self.series, plot.panels)
            for plot in self.plots
            if plot.panels
        }
        if self.strips:
            note = wrapped(f"{self.group.title}. {self.samples_note}")
            figures[f"samples{self.suffix}"] = partial(strips_figure, self.strips, self.legends, note)
        return figures


def sections_of(folder: Path, runs: Sequence[RunRecord]) -> list[Section]:
    """Return a section for each group of comparable runs below `folder`."""
    groups = grouped(runs)
    digests = {run.folder: run_digest(RunFolder(folder / run.folder)) for run in runs}
    sections = []
    for group, members in groups.items():
        suffix = f"_{group.file_suffix}" if len(groups) > 1 else ""
        parts = [text for run in members for text in (run.place, digests[run.folder])]
        inputs = digest(code_digest(), group.title, suffix, *parts)
        sections.append(Section(folder, group, tuple(members), suffix, inputs))
    return sections


def _wins(group: PromptRuns) -> Plot:
    note = win_note(group.runs, group.series, group.scores)
    return Plot("wins", "Win rates", note, win_panels(group.runs, group.series, group.scores))


def _plots(folder: Path, runs: Sequence[RunRecord], series: Sequence[Series]) -> list[Plot]:
    has_fid = any(row.get("fid") is not None for run in runs for row in run.rows)
    stem = "fid" if has_fid else "rewards"
    return [
        Plot(
            f"{stem}_vs_nfe",
            "Against network evaluations",
            "Bands: ± one standard error, over seeds where there are "
            f"three or more, else over images.{f' {FORWARDS}' if goes_back(runs) else ''}"
            f"{f' {RENDERED}' if any(run.rendered for run in runs) else ''}",
            cost_panels(runs, series),
        ),
        Plot(
            f"{stem}_vs_verifier_calls",
            "Against verifier calls",
            "Candidates that the verifier scored; a plain sampling is scored once.",
            [] if has_fid else cost_panels(runs, series, cost="verifier_calls"),
        ),
        Plot(
            f"{stem}_vs_flops",
            "Against FLOPs",
            "Everything counts: network, backward passes (as two forwards), verifier and decoder.",
            cost_panels(runs, series, cost="flops"),
        ),
        Plot(
            f"{stem}_vs_seconds",
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
