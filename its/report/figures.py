"""Figures: one run's curve, a grid of its images, and all methods of an experiment against each other.

Each is made as a matplotlib `Figure` that can be looked into, without global state, and then as bytes that
the same numbers always give again.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from its.report.caption import caption
from its.report.runs import Row, RunRecord, grouped
from its.report.series import BASELINE, WITHOUT_SEARCH, Series, main_verifier, series_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES, DPI = 8.0, 150
COMPARED = ("fid", "accuracy", "reward_mean", "isc")
OWN = ("reward_mean", "fid", "accuracy")

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F")
"""Okabe and Ito's, without black and with a darker yellow."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
FIXED = {WITHOUT_SEARCH: ("#000000", "*"), BASELINE: ("#666666", "d"), "random": (PALETTE[0], "o"),
         "zero_order": (PALETTE[1], "s"), "bfs_resample": (PALETTE[2], "^")}
"""Colour and marker of methods that look the same in every figure."""

DOTS: tuple[Any, ...] = ((0, (1, 1.2)), (0, (1, 3)), (0, (1, 1, 1, 4)))
"""Line styles of the other verifiers, in the order of their names."""

FEATURES = {"mixture": "pixels"}
"""What FID compares, where it is not the features of the dataset's report classifier."""

REWARD_UNITS = {"classifier": "log p"}


def curve_figure(rows: Sequence[Row], label: Mapping[str, str], command: str) -> bytes:
    """Draw one run's curve as PNG."""
    return _png(curve_plot(rows, label, command))


def comparison_figure(runs: Sequence[RunRecord]) -> dict[str, bytes]:
    """Draw all methods of one group as `png` and `pdf`."""
    figure = comparison_plot(runs)
    return {"png": _png(figure), "pdf": _pdf(figure)}


def curve_plot(rows: Sequence[Row], label: Mapping[str, str], command: str) -> Figure:
    """One run: a panel for each of reward, FID and accuracy that it has."""
    run = RunRecord(Path(), dict(label), command, rows[-1]["images"], tuple(rows))
    (run,) = grouped([run])[max(grouped([run]), key=lambda group: group.images)]
    series = series_of([run])
    figure, panels = _panels([run], series, OWN, columns=3, row_height=2.5)
    names = (label["search"], f"verifier {label['verifier']}", f"budget {label['budget']}", f"seed {label['seed']}")
    figure.suptitle(" · ".join(names), fontsize=10)
    for column, panel in panels.items():
        panel.set_title({"reward_mean": "Mean reward", "fid": "FID", "accuracy": "Accuracy"}[column], fontsize=9)
    return figure


def comparison_plot(runs: Sequence[RunRecord]) -> Figure:
    """Draw runs of one group: a panel for each metric that they have, a line for each method.

    Rewards of different verifiers are on different scales: theirs shows the most common one only.

    Raises:
        ValueError: the runs cannot be compared.
    """
    groups = grouped(runs)
    if len(groups) != 1:
        raise ValueError(f"{len(groups)} groups of runs ({'; '.join(group.title for group in groups)}) cannot share a "
                         "figure; draw one for each group of its.report.runs.grouped")
    series = series_of(runs)
    figure, panels = _panels(runs, series, COMPARED, columns=2, row_height=2.75)
    if "reward_mean" in panels and any(one.other_verifier for one in series):
        panels["reward_mean"].set_title(f"only runs that select by {main_verifier(runs)}", fontsize=8)
    _legend(figure, series)
    return figure


def sample_grid(images: np.ndarray) -> bytes:
    """Lay out uint8 images `[n <= 100, H, W, C]` as PNG: ten columns in problem order, at least 48 pixels each."""
    from PIL import Image

    if images.ndim != 4 or images.dtype != np.uint8 or not 1 <= len(images) <= 100 or images.shape[3] not in (1, 3):
        raise ValueError(f"images are {images.dtype} of shape {images.shape}; they must be uint8 [n, H, W, C] with "
                         "n in [1, 100] and C 1 or 3")
    n, height, width, channels = images.shape
    zoom = math.ceil(48 / min(height, width))
    columns, gap = min(10, n), 2
    tall, wide = height * zoom + gap, width * zoom + gap
    canvas = np.full((math.ceil(n / columns) * tall - gap, columns * wide - gap, channels), 255, dtype=np.uint8)
    for k, image in enumerate(images.repeat(zoom, axis=1).repeat(zoom, axis=2)):
        top, left = k // columns * tall, k % columns * wide
        canvas[top : top + height * zoom, left : left + width * zoom] = image
    content = io.BytesIO()
    Image.fromarray(canvas[..., 0] if channels == 1 else canvas).save(content, format="PNG")
    return content.getvalue()


def _panels(runs: Sequence[RunRecord], series: Sequence[Series], wanted: Sequence[str], columns: int,
            row_height: float) -> tuple[Figure, dict[str, Axes]]:
    """A figure with its caption, and a panel by column."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = [column for column in wanted if any(one.points(column) for one in series)]
    columns = max(1, min(columns, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    text = caption(runs, series)
    legend_lines = math.ceil(len(series) / _legend_columns(series)) if columns < 3 else 2
    height = rows * row_height + 0.16 * (text.count("\n") + 1) + 0.2 * legend_lines
    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.08))
    FigureCanvasAgg(figure)
    figure.supxlabel(text, x=0.012, ha="left", fontsize=7.5, linespacing=1.35, color="#333333")
    styles = styles_of(series)
    panels = {}
    for position, column in enumerate(shown, start=1):
        panels[column] = panel = figure.add_subplot(rows, columns, position)
        _fill(panel, column, series, styles)
        panel.set_ylabel(_axis_label(column, runs), fontsize=8.5)
        panel.set_xlabel(f"network evaluations{chr(10) if columns > 2 else ' '}(NFE) per image", fontsize=8.5)
        _ticks(panel, series)
    return figure, panels


def styles_of(series: Sequence[Series]) -> list[dict[str, Any]]:
    """Give every series its line: colour and marker by method, dots for another verifier, dashes for the baseline."""
    free = [pair for k in range(len(MARKERS) * len(PALETTE)) if (pair := (PALETTE[k % 7], MARKERS[k % 9]))
            not in FIXED.values()]
    others = sorted({one.verifier for one in series if one.other_verifier})
    unknown = sorted({one.method for one in series} - FIXED.keys())
    looks = FIXED | {method: free[k % len(free)] for k, method in enumerate(unknown)}
    styles = []
    for one in series:
        colour, marker = looks[one.method]
        line: Any = DOTS[others.index(one.verifier) % len(DOTS)] if one.other_verifier else "-"
        line = {BASELINE: "--", WITHOUT_SEARCH: "none"}.get(one.search, line)
        styles.append({"color": colour, "marker": marker, "linestyle": line, "linewidth": 1.6,
                       "markersize": 9 if marker == "*" else 5, "label": one.label,
                       "markerfacecolor": "white" if one.other_verifier else colour})
    return styles


def _fill(panel: Axes, column: str, series: Sequence[Series], styles: Sequence[dict[str, Any]]) -> None:
    for one, style in zip(series, styles, strict=True):
        points = [] if column == "reward_mean" and one.other_verifier else one.points(column)
        if not points:
            continue
        nfe, value = [point.nfe for point in points], np.array([point.value for point in points])
        error = np.array([math.nan if point.error is None else point.error for point in points])
        panel.plot(nfe, value, zorder=4 if one.search == WITHOUT_SEARCH else 3, **style)
        if len(points) == 1 or one.search == WITHOUT_SEARCH:
            panel.errorbar(nfe, value, yerr=error, color=style["color"], fmt="none", capsize=2.5, elinewidth=1)
        else:
            panel.fill_between(nfe, value - error, value + error, color=style["color"], alpha=0.2, linewidth=0)


def _ticks(panel: Axes, series: Sequence[Series]) -> None:
    """A log axis with the caps as plain numbers; mean costs where nothing was capped."""
    from matplotlib.ticker import NullLocator

    rows = [row for one in series for run in one.runs for row in run.rows]
    caps = {row["nfe_cap"] for row in rows} - {None} or {row["nfe"] for row in rows}
    low, high = min(min(caps), *(row["nfe"] for row in rows)), max(max(caps), *(row["nfe"] for row in rows))
    panel.set_xscale("log")
    panel.set_xlim(low / 1.2, high * 1.2)
    apart = (1.44 * high / low) ** (1 / 8)
    kept: list[float] = []
    for cap in sorted(caps):
        if not kept or cap >= kept[-1] * apart:
            kept.append(cap)
    panel.set_xticks(kept, [f"{cap:.4g}" if cap < 10000 else f"{cap:.0f}" for cap in kept])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.ticklabel_format(axis="y", useOffset=False)
    panel.tick_params(labelsize=8)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _axis_label(column: str, runs: Sequence[RunRecord]) -> str:
    verifier, dataset = main_verifier(runs), runs[0].label["dataset"]
    features, unit = FEATURES.get(dataset, "report-classifier features"), REWARD_UNITS.get(verifier, verifier)
    return {"fid": f"FID ↓ ({features})", "accuracy": "accuracy ↑", "reward_mean": f"mean reward ↑ ({unit})",
            "isc": "inception score ↑"}[column]


def _legend(figure: Figure, series: Sequence[Series]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style) for style in styles_of(series)]
    figure.legend(handles=handles, loc="outside upper center", ncols=_legend_columns(series), fontsize=8.5,
                  frameon=False, handlelength=3.4)


def _legend_columns(series: Sequence[Series]) -> int:
    longest = max(len(one.label) for one in series)
    return max(1, min(len(series), 110 // (longest + 10)))


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _pdf(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None})
    return content.getvalue()
