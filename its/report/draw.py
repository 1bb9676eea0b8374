"""Drawing of a panel on matplotlib's axes, and the styles of the lines of methods."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from its.report.panels import Mark, Panel
from its.report.series import BASELINE, WITHOUT_SEARCH, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F")
"""Okabe and Ito's, without black and with a darker yellow."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
FIXED = {
    WITHOUT_SEARCH: ("#000000", "*"),
    BASELINE: ("#666666", "d"),
    "random": (PALETTE[0], "o"),
    "zero_order": (PALETTE[1], "s"),
    "bfs_resample": (PALETTE[2], "^"),
}
"""Colour and marker of methods that look the same in every figure."""

DOTS: tuple[Any, ...] = ((0, (1, 1.2)), (0, (1, 3)), (0, (1, 1, 1, 4)))
"""Line styles of the other verifiers, in the order of their names."""

FRONT = "#bbbbbb"

SPREAD = 1.4
"""Factor between the first and the last interval at one cap, which stand side by side."""

LADDERS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0))
"""Round numbers of a decade, coarse to fine."""

Style = dict[str, Any]


def styles_of(series: Sequence[Series]) -> list[Style]:
    """Give every series its line: colour and marker by search, dots for another verifier, dashes for the baseline.

    A guided series looks like its search without, with hollow markers on a line of dashes and dots.
    """
    # Give methods that have no fixed look one of those that are free.
    free = [
        pair
        for k in range(len(MARKERS) * len(PALETTE))
        if (pair := (PALETTE[k % 7], MARKERS[k % 9])) not in FIXED.values()
    ]
    others = sorted({line.verifier for line in series if line.other_verifier})
    free_methods = sorted({unguided(line.method) for line in series} - FIXED.keys())
    looks = FIXED | {method: free[k % len(free)] for k, method in enumerate(free_methods)}

    # Let the line tell verifier, guidance and baseline.
    styles = []
    for line in series:
        colour, marker = looks[unguided(line.method)]
        guided = line.method != unguided(line.method)
        plain: Any = DOTS[others.index(line.verifier) % len(DOTS)] if line.other_verifier else "-." if guided else "-"
        dashes = {BASELINE: "--", WITHOUT_SEARCH: "none"}.get(line.search, plain)
        styles.append(
            {
                "color": colour,
                "marker": marker,
                "linestyle": dashes,
                "linewidth": 1.6,
                "markersize": 9 if marker == "*" else 5,
                "label": line.legend,
                "markerfacecolor": "white" if line.other_verifier or guided else colour,
            }
        )
    return styles


def unguided(method: str) -> str:
    """Return the method without its guidance: `random` of `random+tfg`."""
    return re.sub(r"\+\S+", "", method)


def draw(axes: Axes, panel: Panel, styles: Sequence[Style]) -> None:
    """Fill the axes; what belongs to a series has the group id `series-<number>`."""
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
    if panel.kind == "paired":
        axes.axhline(0, color=FIXED["random"][0], linewidth=1, zorder=2)

    # Draw each series' marks.
    for number, marks in zip(panel.series, panel.marks, strict=True):
        style = styles[number]
        if panel.kind == "front":
            style = {**style, "linestyle": "none"}
        aside = _aside(panel, panel.series.index(number)) if panel.kind == "paired" else 1.0
        _line(axes, panel, marks, style, f"series-{number}", aside)

    # Name the axes.
    axes.set_xlabel(panel.x_label, fontsize=8.5)
    axes.set_ylabel(panel.y_label, fontsize=8.5)
    if panel.title:
        axes.set_title(panel.title, fontsize=8)
    _ticks(axes, panel)


def outline(style: Style) -> list[tuple[float, float]]:
    """Return the corners of a style's marker, in points, with y downwards."""
    from matplotlib.markers import MarkerStyle

    marker = MarkerStyle(style["marker"])
    corners = np.asarray(marker.get_path().transformed(marker.get_transform()).to_polygons()[0])
    return [(x, -y) for x, y in (corners * style["markersize"]).tolist()]


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
    if panel.kind not in ("curve", "paired"):
        return
    if len(marks) == 1 or star or panel.kind == "paired":
        bars = axes.errorbar(
            x, y, yerr=[y - low, high - y], color=style["color"], fmt="none", capsize=2.5, elinewidth=1
        )
        for part in (*bars.lines[1], *bars.lines[2]):
            part.set_gid(group)
    else:
        axes.fill_between(x, low, high, color=style["color"], alpha=0.2, linewidth=0).set_gid(group)


def _ticks(axes: Axes, panel: Panel) -> None:
    """Make a log axis of costs, with the caps as plain numbers where they are the axis."""
    from matplotlib.ticker import EngFormatter, NullLocator

    # Place the ticks of the costs.
    if panel.kind != "path":
        places = [mark.x for marks in panel.marks for mark in marks]
        low, high = min((*panel.ticks, *places)), max((*panel.ticks, *places))
        axes.set_xscale("log")
        axes.set_xlim(low / 1.2, high * 1.2)
        if panel.ticks:
            caps = _apart(panel.ticks, (1.44 * high / low) ** (1 / 8))
            axes.set_xticks(caps, [f"{cap:.4g}" if cap < 10000 else f"{cap:.0f}" for cap in caps])
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            ticks, prefixed = _round(low / 1.2, high * 1.2), EngFormatter(sep="")
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
