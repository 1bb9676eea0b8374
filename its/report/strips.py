"""Strips of samples: the same problems under every method and cap, side by side."""

from __future__ import annotations

import io
import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from its.budget import Cap, cap_of
from its.dataset.image_set import NO_CLASS
from its.disk.array_names import first_of, shard_name
from its.disk.delivered import image_names
from its.disk.run_folder import RunFolder
from its.disk.store import Arrays, DamagedFile
from its.report.runs import RunRecord, UnreadableRun
from its.report.series import Series

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

PROBLEMS = 8
SMALLEST, LARGEST = 32, 96
"""Pixels of an image's shorter side."""


@dataclass(frozen=True)
class Strip:
    """The first problems under one method.

    Attributes:
        by_cap: uint8 images `[n, H, W, C]`, white where there is none; by cap.
        classes: that were asked for; empty if it was anything else.
    """

    series: int
    by_cap: dict[Cap, np.ndarray]
    classes: tuple[int, ...]


def strips_of(folder: Path, series: Sequence[Series]) -> list[Strip]:
    """Return a strip for each series that has the seed of most and a first shard on disk, at the caps of its runs.

    Raises:
        UnreadableRun: a shard is damaged.
    """
    seed = seed_of(series)
    strips = []
    for number, line in enumerate(series):
        parts = [part for run in line.runs if run.seed == seed if (part := _read(folder, number, run))]
        if parts:
            by_cap = {cap: images for part in reversed(parts) for cap, images in part.by_cap.items()}
            strips.append(replace(parts[0], by_cap=by_cap))
    return strips


def seed_of(series: Sequence[Series]) -> str:
    """Return the seed that most series have, the least of equals: problems are the same under one seed only."""
    counts = Counter(seed for line in series for seed in line.seeds)
    return min(counts, key=lambda seed: (-counts[seed], len(seed), seed))


def _shown(arrays: Arrays, run: RunRecord) -> np.ndarray:
    """Return where the first images at every cap stand among a shard's different ones: `[n, caps]`."""
    return arrays["pick"][: min(PROBLEMS, run.images)]


def _read(folder: Path, number: int, run: RunRecord) -> Strip | None:
    """Return the strip of one run; None if its first shard, or images in it, are not on disk."""
    try:
        files = RunFolder(folder / run.folder)
        first = next((name for name in image_names(files) if first_of(name) == 0), shard_name(0))
        arrays = files.store.read(first)
    except DamagedFile as damage:
        raise UnreadableRun(run.folder, damage) from damage
    if arrays is None:
        return None
    if _shown(arrays, run).max() >= len(arrays.get("images", ())):
        log.warning(
            "%s keeps no images, so it has no strip; its command makes them again with store.images=preview",
            run.place,
        )
        return None
    return _strip(arrays, number, run)


def _strip(arrays: Arrays, number: int, run: RunRecord) -> Strip:
    """Return the first images of a shard at every cap."""
    pick, images = _shown(arrays, run), arrays["images"]
    white = np.full((1, *images.shape[1:]), 255, dtype=np.uint8)
    by_cap = {
        cap: np.concatenate(
            [images[place : place + 1] if place >= 0 else white for place in pick[:, run.position(cap)]]
        )
        for cap in map(cap_of, run.rows)
    }
    classes = tuple(map(int, arrays["label"][: len(pick)]))
    return Strip(number, by_cap, classes if NO_CLASS not in classes else ())


def strip_image(images: np.ndarray) -> np.ndarray:
    """Put images `[n, H, W, C]` in a row `[h, w, C]`, enlarged or thinned out to a size that shows."""
    shorter = min(images.shape[1:3])
    grown = images.repeat(zoom := max(1, math.ceil(SMALLEST / shorter)), axis=1).repeat(zoom, axis=2)
    thin = max(1, shorter // LARGEST)
    framed = np.pad(grown[:, ::thin, ::thin], ((0, 0), (0, 0), (0, 2), (0, 0)), constant_values=255)
    return np.concatenate(list(framed), axis=1)[:, :-2]


def strip_png(images: np.ndarray) -> bytes:
    """Return a strip as PNG."""
    from PIL import Image

    row = strip_image(images)
    content = io.BytesIO()
    Image.fromarray(row[..., 0] if row.shape[2] == 1 else row).save(content, format="PNG")
    return content.getvalue()


def strips_figure(strips: Sequence[Strip], legends: Sequence[str], caption: str) -> Figure:
    """Draw all strips, a row for each method and a column for each cap, for paper."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Put all strips on one canvas.
    caps = caps_of(strips)
    rows = [{cap: strip_image(images) for cap, images in strip.by_cap.items()} for strip in strips]
    height, width, channels = next(iter(rows[0].values())).shape
    canvas = np.full((len(rows) * (height + 4), len(caps) * (width + 12), channels), 255, dtype=np.uint8)
    for k, row in enumerate(rows):
        for column, cap in enumerate(caps):
            if cap in row:
                canvas[
                    k * (height + 4) : k * (height + 4) + height,
                    column * (width + 12) : column * (width + 12) + row[cap].shape[1],
                ] = row[cap]

    # Make the figure as tall as that canvas needs.
    wide = 7.8 - 0.068 * max(len(legends[strip.series]) for strip in strips)
    tall = wide * canvas.shape[0] / canvas.shape[1] + 0.5 + 0.14 * caption.count("\n")
    figure = Figure(figsize=(8.0, tall), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()

    # Show it, with methods and caps as ticks.
    axes.imshow(canvas if channels == 3 else canvas[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_yticks(
        [k * (height + 4) + height / 2 for k in range(len(rows))], [legends[strip.series] for strip in strips]
    )
    axes.set_xticks(
        [column * (width + 12) + width / 2 for column in range(len(caps))],
        list(map(str, caps)),
    )
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    figure.supxlabel(caption, x=0.012, ha="left", fontsize=7.5, linespacing=1.35, color="#333333")
    return figure


def caps_of(strips: Sequence[Strip]) -> list[Cap]:
    """Return every cap that some strip has, in their order."""
    return sorted({cap for strip in strips for cap in strip.by_cap}, key=lambda cap: cap.order)
