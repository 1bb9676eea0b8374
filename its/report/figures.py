"""Figures: one run's curve, a grid of its images, and all methods of an experiment against each other.

Each is made as a matplotlib `Figure` that can be looked into, without global state, and then as bytes that
the same numbers always give again.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from its.report.caption import caption
from its.report.draw import draw
from its.report.panels import Panel, cost_panels, short_label
from its.report.runs import Row, RunRecord, grouped
from its.report.series import Series, series_of
from its.report.style import Style, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES, DPI = 8.0, 150
OWN = ("reward_mean", "fid", "accuracy")

UNDATED: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}
"""Metadata without which the same figure is the same bytes, by the kind of file."""


def curve_figure(rows: Sequence[Row], label: Mapping[str, str], command: str, note: str = "") -> bytes:
    """Draw one run's curve as PNG.

    Args:
        note: the protocol by which it was measured.
    """
    return encoded(curve_plot(rows, label, command, note), "png")


def comparison_figure(runs: Sequence[RunRecord], cost: str = "nfe") -> dict[str, bytes]:
    """Draw all methods of one group against a cost (`nfe`, `flops` or `seconds`) as `png` and `pdf`."""
    return as_files(comparison_plot(runs, cost))


def as_files(figure: Figure) -> dict[str, bytes]:
    """Return a figure as `png` and `pdf`, laid out once."""
    _take_literally(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return {kind: encoded(figure, kind) for kind in ("png", "pdf")}


def curve_plot(rows: Sequence[Row], label: Mapping[str, str], command: str, note: str = "") -> Figure:
    """Draw one run: a panel for each of reward, FID, accuracy and held-out verifiers that it has."""
    run = RunRecord(Path(), dict(label), command, rows[-1]["images"], tuple(rows), protocol=note)
    (run,) = grouped([run])[max(grouped([run]), key=lambda group: group.images)]
    series = series_of([run])
    figure = panel_figure([run], series, cost_panels([run], series, OWN), columns=3, row_height=2.5)
    names = (label["search"], f"verifier {label['verifier']}", f"budget {label['budget']}", f"seed {label['seed']}")
    figure.suptitle(" · ".join(names), fontsize=10)
    titles = {"reward_mean": "Mean reward", "fid": "FID", "accuracy": "Accuracy"}
    shown = [column for column in (*OWN, *run.held_out) if series[0].points(column)]
    for column, axes in zip(shown, figure.axes, strict=True):
        axes.set_title(titles.get(column, short_label(column, [run])), fontsize=9)
        axes.set_xlabel("network evaluations\n(NFE) per image")
    return figure


def comparison_plot(runs: Sequence[RunRecord], cost: str = "nfe") -> Figure:
    """Draw runs of one group: a panel for each metric that they have, a line for each method.

    Raises:
        ValueError: the runs cannot be compared.
    """
    groups = grouped(runs)
    if len(groups) != 1:
        raise ValueError(
            f"{len(groups)} groups of runs ({'; '.join(group.title for group in groups)}) cannot share a "
            "figure; draw one for each group of its.report.runs.grouped"
        )
    series = series_of(runs)
    return group_figure(runs, series, cost_panels(runs, series, cost=cost))


def group_figure(runs: Sequence[RunRecord], series: Sequence[Series], panels: Sequence[Panel]) -> Figure:
    """Draw panels of one group in a grid, between their legend and their caption."""
    figure = panel_figure(runs, series, panels)
    _legend(figure, series)
    return figure


def sample_grid(images: np.ndarray) -> bytes:
    """Lay out uint8 images `[n <= 100, H, W, C]` as PNG: ten columns in problem order, at least 48 pixels each."""
    from PIL import Image

    if images.ndim != 4 or images.dtype != np.uint8 or not 1 <= len(images) <= 100 or images.shape[3] not in (1, 3):
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; they must be uint8 [n, H, W, C] with "
            "n in [1, 100] and C 1 or 3"
        )

    # Lay out the cells on white.
    n, height, width, channels = images.shape
    zoom = math.ceil(48 / min(height, width))
    columns, gap = min(10, n), 2
    tall, wide = height * zoom + gap, width * zoom + gap
    canvas = np.full((math.ceil(n / columns) * tall - gap, columns * wide - gap, channels), 255, dtype=np.uint8)
    for k, image in enumerate(images.repeat(zoom, axis=1).repeat(zoom, axis=2)):
        y, x = k // columns * tall, k % columns * wide
        canvas[y : y + height * zoom, x : x + width * zoom] = image
    content = io.BytesIO()
    Image.fromarray(canvas[..., 0] if channels == 1 else canvas).save(content, format="PNG")
    return content.getvalue()


def panel_figure(
    runs: Sequence[RunRecord],
    series: Sequence[Series],
    panels: Sequence[Panel],
    columns: int = 2,
    row_height: float = 2.75,
) -> Figure:
    """Draw panels of one group in a grid, above their caption."""
    columns = max(1, min(columns, len(panels)))
    rows = max(1, math.ceil(len(panels) / columns))
    text = caption(runs, series, panels)
    legend_lines = math.ceil(len(series) / _legend_columns(series)) if columns < 3 else 2
    figure = canvas(WIDTH_INCHES, rows * row_height + 0.16 * (text.count("\n") + 1) + 0.2 * legend_lines)
    figure.supxlabel(text, x=0.012, ha="left", fontsize=7.5, linespacing=1.35, color="#333333")
    styles = styles_of(series)
    for position, panel in enumerate(panels, start=1):
        draw(figure.add_subplot(rows, columns, position), panel, styles)
    return figure


def panel_svg(panel: Panel, styles: Sequence[Style]) -> str:
    """Draw one panel for a page: text stays text, and what belongs to a series has its number in `data-series`."""
    import matplotlib

    figure = canvas(3.4, 2.6, None)
    axes = figure.add_axes((0.19, 0.175, 0.79, 0.735))
    draw(axes, panel, styles)
    _take_literally(figure)
    _make_room_at_the_left(axes)
    content = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": panel.name}):
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = content.getvalue()
    text = re.sub(r'<g id="series-(\d+)">', r'<g data-series="\1">', text[text.index("<svg") :])
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'<g id="[a-zA-Z]+_\d+">', "<g>", text)


def _make_room_at_the_left(axes: Axes) -> None:
    """Move the left side of a panel to the right by what its labels overlap the figure's edge."""
    figure = axes.get_figure(root=True)
    labels = axes.yaxis.get_tightbbox()
    assert figure is not None, "the panel is a figure's"
    assert labels is not None, "its axis has labels"
    beyond = max(0.0, -labels.x0) / figure.bbox.width
    left, bottom, width, height = axes.get_position().bounds
    axes.set_position((left + beyond, bottom, width - beyond, height))


def canvas(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Return an empty figure of so many inches, without global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)  # type: ignore[arg-type]
    if layout:
        figure.get_layout_engine().set(w_pad=0.08)  # type: ignore[union-attr,call-arg]
    FigureCanvasAgg(figure)
    return figure


def _legend(figure: Figure, series: Sequence[Series]) -> None:
    """Name every series above the panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style) for style in styles_of(series)]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=_legend_columns(series),
        fontsize=8.5,
        frameon=False,
        handlelength=3.4,
    )


def _legend_columns(series: Sequence[Series]) -> int:
    longest = max(len(line.legend) for line in series)
    return max(1, min(len(series), 110 // (longest + 10)))


def _take_literally(figure: Figure) -> None:
    """Let dollar signs be dollar signs: no text of a run is a formula."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # type: ignore[attr-defined]


def encoded(figure: Figure, kind: str, dpi: int = DPI) -> bytes:
    """Return a figure as `pdf` (its text as TrueType, which journals ask for), `png` or `svg`."""
    import matplotlib

    _take_literally(figure)
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells each step of embedding a font
    content = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "its"}):
        figure.savefig(content, format=kind, dpi=dpi, metadata=UNDATED[kind])  # type: ignore[arg-type]
    return content.getvalue()
