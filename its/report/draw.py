"""Drawing of a panel on matplotlib's axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from its.report.panels import Mark, Panel
from its.report.style import Style, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRONT = "#bbbbbb"

NO_DIFFERENCE = {"paired": (0.0, "random"), "wins": (0.5, "none")}
"""Where a line tells better from worse, and than which search, by the kind of panels with intervals."""

SPREAD = 1.4
"""Factor between the first and the last interval at one cap, which stand side by side."""

TICKS = 8
"""The most costs that are named along an axis."""

LADDERS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0))
"""Round numbers of a decade, coarse to fine."""


def draw(axes: Axes, panel: Panel, styles: Sequence[Style], ticks: int = TICKS) -> None:
    """Fill the axes; what belongs to a series has the group id `series-<number>`.

    Args:
        ticks: the most costs that have room along the axis.
    """
    # Draw what stands behind the marks.
    if panel.kind == "front":
        steps = [mark for _, mark in panel.front]
        axes.step(
            [mark.x for mark in steps],
            [mark.y for mark in steps],
            where="post",
            color=FRONT,
            linewidth=4,
            zorder=1,
            solid_capstyle="butt",
        )
    if panel.kind in NO_DIFFERENCE:
        level, compared = NO_DIFFERENCE[panel.kind]
        axes.axhline(level, color=look_of(compared)[0], linewidth=1, zorder=2)

    # Draw each series' marks.
    for number, marks in zip(panel.series, panel.marks, strict=True):
        style = styles[number]
        if panel.kind == "front":
            style = {**style, "linestyle": "none"}
        aside = _aside(panel, panel.series.index(number)) if panel.kind in NO_DIFFERENCE else 1.0
        _line(axes, panel, marks, style, f"series-{number}", aside)

    # Name the axes.
    axes.set_xlabel(panel.x_label, fontsize=8.5)
    axes.set_ylabel(panel.y_label, fontsize=8.5)
    if panel.title:
        axes.set_title(panel.title, fontsize=8)
    _ticks(axes, panel, ticks)


def _aside(panel: Panel, position: int) -> float:
    """Return the factor by which a series' intervals stand beside their cap, within what is free up to the next one."""
    gaps = [after / before for before, after in pairwise(panel.ticks)]
    return min((SPREAD, *(gap**0.6 for gap in gaps))) ** ((position + 0.5) / len(panel.series) - 0.5)


def _line(axes: Axes, panel: Panel, marks: Sequence[Mark], style: Style, group: str, aside: float) -> None:
    # Draw the marks and the line through them.
    x, y = np.array([mark.x * aside for mark in marks]), np.array([mark.y for mark in marks])
    low, high = (
        np.array([math.nan if end is None else end for end in ends])
        for ends in ([mark.low for mark in marks], [mark.high for mark in marks])
    )
    star = style["marker"] == "*"
    (line,) = axes.plot(x, y, zorder=4 if star else 3, **style)
    line.set_gid(group)

    # Draw the intervals: bars where they stand alone, else a band.
    if panel.kind not in ("curve", *NO_DIFFERENCE):
        return
    if len(marks) == 1 or star or panel.kind in NO_DIFFERENCE:
        bars = axes.errorbar(
            x, y, yerr=[y - low, high - y], color=style["color"], fmt="none", capsize=2.5, elinewidth=1
        )
        for part in (*bars.lines[1], *bars.lines[2]):
            part.set_gid(group)
    else:
        axes.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0).set_gid(group)


def _ticks(axes: Axes, panel: Panel, most: int) -> None:
    """Make a log axis of costs, with the caps as plain numbers where they are the axis."""
    from matplotlib.ticker import EngFormatter, NullLocator

    # Place the ticks of the costs.
    if panel.kind != "path":
        places = [mark.x for marks in panel.marks for mark in marks]
        low, high = min((*panel.ticks, *places)), max((*panel.ticks, *places))
        gap = (1.44 * high / low) ** (1 / most)
        axes.set_xscale("log")
        axes.set_xlim(low / 1.2, high * 1.2)
        if panel.ticks:
            caps = _apart(panel.ticks, gap)
            axes.set_xticks(caps, [f"{cap:.4g}" if cap < 10000 else f"{cap:.0f}" for cap in caps])
        else:
            ticks, prefixed = _round(low / 1.2, high * 1.2), EngFormatter(sep="")
            ticks = _apart(ticks, gap) if len(ticks) > most else ticks
            axes.set_xticks(ticks, [prefixed(place) if place >= 1000 else f"{place:.3g}" for place in ticks])
        axes.xaxis.set_minor_locator(NullLocator())

    # Draw the grid.
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _round(low: float, high: float) -> list[float]:
    """Return round numbers from low to high, of the coarsest ladder that has three of them there."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for ladder in LADDERS:
        ticks = [place for k in decades for step in ladder if low <= (place := float(f"{step}e{k}")) <= high]
        if len(ticks) >= 3:
            break
    return ticks


def _apart(places: Sequence[float], factor: float) -> list[float]:
    """Return the places that are at least `factor` times the one before."""
    apart: list[float] = []
    for place in places:
        if not apart or place >= apart[-1] * factor:
            apart.append(place)
    return apart
