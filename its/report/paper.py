"""A figure for print: metrics of a sweep against a cost, at the width of one or two text columns of a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from its.report.choice import Choice, check_metrics, chosen_lines, chosen_runs, method_names, read_labels, read_where
from its.report.draw import draw
from its.report.figures import canvas
from its.report.panels import Panel, cap_ticks, marks_of, short_label
from its.report.paper_caption import ERRORS, MIN_SEEDS, paper_caption
from its.report.runs import RunRecord
from its.report.series import Series, series_of
from its.report.style import Style, styles_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTHS = {1: 3.25, 2: 6.75}
"""Inches of one and of two text columns."""

COST_LABELS = {
    "nfe": "NFE per image",
    "verifier_calls": "verifier calls per image",
    "flops": "FLOPs per image",
    "seconds": "seconds per image",
}
"""Names of the axis; what more there is to say of it says the caption."""

THIN = 0.8
"""Lines and markers beside those of a report, whose panels are larger."""

LINE_INCHES = 0.17
"""Height of a line of the legend."""


def paper_figure(runs: Sequence[RunRecord], choice: Choice, columns: int) -> tuple[Figure, str]:
    """Draw what was chosen of a sweep's runs, and return it with its caption.

    Args:
        columns: of a paper's text, 1 or 2: the width.

    Raises:
        ValueError: a choice does not exist, or must be made and was not.
    """
    # Choose runs, then lines, which look as they do among all lines of these runs.
    metrics = list(dict.fromkeys(choice.metrics))
    group = chosen_runs(runs, read_where(choice.where))
    everything = series_of(group)
    chosen = chosen_lines(everything, choice.methods)
    series, looks = [everything[k] for k in chosen], [styles_of(everything)[k] for k in chosen]
    check_metrics(metrics, [run for line in series for run in line.runs])

    # Name them.
    labels = read_labels(choice.labels, [*method_names(series), *metrics, choice.cost])
    names = [_name(line, labels) for line in series]
    styles = [_thin(style) | {"label": name} for style, name in zip(looks, names, strict=True)]
    panels = paper_panels(group, series, metrics, choice.cost, labels)
    return paper_plot(panels, styles, columns), paper_caption(group, series, panels, choice.cost, names)


def _thin(style: Style) -> Style:
    return style | {key: THIN * style[key] for key in ("linewidth", "markersize")}


def _name(line: Series, labels: Mapping[str, str]) -> str:
    """Return a line's name in the legend: its own label, or its search's with what sets the line apart."""
    search = line.plain_search
    return labels.get(line.legend, labels.get(search, search) + line.legend.removeprefix(search))


def paper_panels(
    runs: Sequence[RunRecord], series: Sequence[Series], columns: Sequence[str], cost: str, labels: Mapping[str, str]
) -> list[Panel]:
    """Return a panel for each metric, in the order asked for.

    Args:
        labels: names of axes, by column; others have their own.

    Raises:
        ValueError: no line has a point in one of them.
    """
    panels = []
    for column in columns:
        shown = marks_of(series, column, cost, MIN_SEEDS, ERRORS)
        if not shown:
            raise ValueError(f"no chosen method has {column} at a {cost} above 0, so there is nothing to draw")
        panels.append(
            Panel(
                column,
                "curve",
                labels.get(cost, COST_LABELS[cost]),
                labels.get(column, short_label(column, runs)),
                tuple(shown),
                tuple(shown.values()),
                cap_ticks(series, cost),
            )
        )
    return panels


def paper_plot(panels: Sequence[Panel], styles: Sequence[Style], columns: int) -> Figure:
    """Draw panels below their legend.

    Args:
        styles: of the lines that the panels number.
        columns: of the paper's text, 1 or 2: the width.

    Raises:
        ValueError: a legend's entry is wider than that.
    """
    # Make room for panels, side by side where there are two columns, and for the legend.
    across = 1 if columns == 1 else {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    down = math.ceil(len(panels) / across)
    width = WIDTHS[columns]
    height = min(2.6, max(1.8, 0.7 * width / across))
    figure = canvas(width, down * height)
    figure.get_layout_engine().set(w_pad=0.05, h_pad=0.03)  # type: ignore[union-attr,call-arg]
    figure.set_figheight(figure.get_figheight() + LINE_INCHES * _legend(figure, styles))

    # Draw the panels; the costs are named below the last one of a column.
    for position, panel in enumerate(panels):
        axes = figure.add_subplot(down, across, position + 1)
        draw(axes, panel, styles, ticks=max(3, int(2 * width / across)))
        if position + across < len(panels):
            axes.set_xlabel("")
    figure.align_ylabels()
    return figure


def _legend(figure: Figure, styles: Sequence[Style]) -> int:
    """Name every line above the panels, on as few lines as there is room for; return how many."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style) for style in styles]
    for lines in range(1, len(handles) + 1):
        legend = figure.legend(
            handles=handles,
            loc="outside upper center",
            ncols=math.ceil(len(handles) / lines),
            fontsize=7.5,
            frameon=False,
            handlelength=3.6,
            columnspacing=1.2,
            borderaxespad=0.1,
        )
        if legend.get_window_extent().width <= figure.bbox.width:
            return lines
        legend.remove()
    longest = max((style["label"] for style in styles), key=len)
    raise ValueError(f"{longest!r} is wider than the figure; shorten it with --labels, or use --columns 2")
