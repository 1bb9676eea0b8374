"""Captions of figures: the number of images, the seeds, the meaning of the bands, and the command."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from its.process.command import typed
from its.report.panels import Panel
from its.report.remarks import oracles_of, protocols_of
from its.report.runs import RunRecord, overrides_of
from its.report.series import MIN_SEEDS, Series, main_verifier

WIDTH = 130
"""Characters of a line."""

MOST_COMMANDS = 3

Grid = dict[str, tuple[str, ...]]
"""Values of every override, by what stands before them."""


FORWARDS = "The axis counts forward evaluations; backward passes have their own column in the table, and are in FLOPs."

BARS = "bars: intervals of 95 % over problems"

NOTES = {"paired": BARS, "wins": BARS, "front": "grey: what none beats in cost and FID"}
"""Marks of a kind of panel beside its points; those of a curve depend on its seeds."""


def caption(runs: Sequence[RunRecord], series: Sequence[Series], panels: Sequence[Panel]) -> str:
    """Return lines for panels of one kind, of runs of one group."""
    first = runs[0]
    what = " · ".join(
        (
            first.label["dataset"],
            f"{first.label['model']}–{first.label['sampler']}",
            f"N = {first.images:,} images per point",
            f"select verifier: {main_verifier(runs)}",
        )
    )

    # Say how to read the panels, and the commands.
    notes = NOTES | {"curve": f"bands: {_bands(series)}"}
    kinds = dict.fromkeys(panel.kind for panel in panels)
    measured = list(map(wrapped, protocols_of(runs)))
    lines = [
        wrapped(what),
        *measured,
        wrapped(" · ".join((_seeds(series), *(notes[kind] for kind in kinds if kind in notes)))),
    ]
    if goes_back(runs) and any("NFE" in panel.x_label for panel in panels):
        lines.append(FORWARDS)
    lines += oracles_of(runs)
    for command in commands([run.command for run in runs]):
        lines += textwrap.wrap(command, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)


def wrapped(text: str) -> str:
    """Return text in lines that fit below a figure."""
    return textwrap.fill(text, WIDTH)


def goes_back(runs: Sequence[RunRecord]) -> bool:
    """Return whether some run spent backward passes."""
    return any(row.get("nfe_backward") for run in runs for row in run.rows)


def commands(of_runs: Sequence[str], most: int | None = MOST_COMMANDS) -> list[str]:
    """Return the first few (all, if `most` is None) of the commands that make these runs together and no others."""
    words = [[word.partition("=") for word in overrides_of(command)] for command in dict.fromkeys(of_runs)]
    grids: list[Grid] = [{key + sign: (value,) for key, sign, value in parts} for parts in words]
    for key in ("seed=", *dict.fromkeys(key for grid in grids for key in grid)):
        if key not in ("experiment=", "plugins=") and not key.startswith("hydra."):
            grids = _merged(grids, key)
    sweeps = [_command(grid) for grid in grids]
    more = 0 if most is None else len(sweeps) - most
    return sweeps[:most] + ([f"… and {more} more commands"] if more > 0 else [])


def _merged(grids: Sequence[Grid], key: str) -> list[Grid]:
    """Sweep over `key` wherever nothing else differs."""
    merged: dict[tuple, Grid] = {}
    for grid in grids:
        rest = (key in grid, *sorted((other, values) for other, values in grid.items() if other != key))
        sweep = merged.setdefault(rest, dict(grid))
        if key in grid:
            sweep[key] = tuple(dict.fromkeys((*sweep[key], *grid[key])))
    return list(merged.values())


def _command(grid: Grid) -> str:
    flag = ["-m"] if any(len(values) > 1 for values in grid.values()) else []
    return typed("run.py", [*flag, *(f"{key}{','.join(values)}" for key, values in grid.items())])


def _seeds(series: Sequence[Series]) -> str:
    seeds = sorted({seed for line in series for seed in line.seeds}, key=lambda seed: (len(seed), seed))
    incomplete = any(line.seeds != seeds for line in series)
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}{' (fewer for some methods)' if incomplete else ''}"


def _bands(series: Sequence[Series]) -> str:
    counts = {
        point.seeds >= MIN_SEEDS
        for line in series
        for column in ("fid", "reward_mean")
        for point in line.points(column)
    }
    if counts == {True}:
        return "mean ± standard error over seeds"
    if True in counts:
        return "mean ± standard error over seeds where there are three or more, else over images"
    return "± standard error over images"
