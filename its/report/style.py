"""The look of every line: colour and marker by the name of its search, line style by what else sets it apart.

Names alone decide, so that a method looks the same in every report and figure, whatever else is drawn. Markers tell
methods apart without colour, as in print in grey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import count
from typing import Any

import numpy as np

from its.report.digest import digest
from its.report.series import BASELINE, WITHOUT_SEARCH, Series

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255")
"""Okabe and Ito's without black and yellow, with Tol's indigo and wine; told apart by the colour-blind too."""

MARKERS: tuple[Any, ...] = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", (4, 1, 0), (4, 1, 45), (6, 1, 0))

PAIRS = tuple((colour, marker) for colour in PALETTE for marker in MARKERS)

FURTHER_MARKERS: tuple[Any, ...] = ("8", (7, 1, 0))
"""Of ours alone, so that more of them change no pair."""

SEARCHES = (
    *("random", "zero_order", "bfs_resample", "bfs_prune", "ses", "snes", "paths", "dfs"),
    *("svdd", "beam", "fk", "rbf", "evosearch", "eps_greedy"),
    *("trs", "treeg"),
)
"""Searches with a marker of their own; a new one goes to the end."""

KNOWN: Mapping[str, tuple[str, Any]] = {
    WITHOUT_SEARCH: ("#000000", "*"),
    BASELINE: ("#666666", "d"),
    **{name: (PALETTE[k % len(PALETTE)], (*MARKERS, *FURTHER_MARKERS)[k]) for k, name in enumerate(SEARCHES)},
}
"""Colour and marker by search; any other search has another of the `PAIRS`, by a hash of its name."""

KNOWN_LINES: Mapping[str, Any] = {"": "-", "+tfg": "-.", "(null_rewards)": ":"}
"""Line style by variant; any other variant has one of `LINES`, by a hash of its name."""

LINES = tuple(
    (0, (dash, gap, *(1, gap) * dots)) for gap in (1.2, 2.4) for dots in (0, 1, 2, 3) for dash in (2.5, 6, 12)
)
"""Dashes of three lengths, with up to three dots between, close and far apart; in line widths."""

SIZE, STAR_SIZE, STEP = 5, 9, 3
"""Points of a marker; of the star; between the markers of lines that look the same otherwise."""

Style = dict[str, Any]


def look_of(search: str) -> tuple[str, Any]:
    """Return the colour and the marker of a search, whoever wrote it."""
    hashed = (PAIRS[_number(search, k) % len(PAIRS)] for k in count())
    return KNOWN.get(search) or next(pair for pair in hashed if pair not in KNOWN.values())


def line_of(variant: str) -> Any:
    """Return the line style of what sets a line apart from others of its search: guidance, settings, verifier."""
    return KNOWN_LINES.get(variant) or LINES[_number(variant) % len(LINES)]


def styles_of(series: Sequence[Series]) -> list[Style]:
    """Give every series its line: solid where the search's name says all, else of its variant, with hollow markers.

    Of names that share a look by chance, the later ones have larger markers.
    """
    styles, met = [], Counter[Hashable]()
    for line in series:
        colour, marker = look_of(line.plain_search)
        if line.plain_search == WITHOUT_SEARCH:
            dashes = "none"
        else:
            dashes = "--" if line.legend == BASELINE else line_of(line.variant)
        look = (colour, marker, dashes, bool(line.variant))
        styles.append(
            {
                "color": colour,
                "marker": marker,
                "linestyle": dashes,
                "linewidth": 1.6,
                "markersize": (STAR_SIZE if marker == "*" else SIZE) + STEP * met[look],
                "label": line.legend,
                "markerfacecolor": "white" if line.variant else colour,
            }
        )
        met[look] += 1
    return styles


def outline(style: Style) -> list[tuple[float, float]]:
    """Return the corners of a style's marker, in points, with y downwards."""
    from matplotlib.markers import MarkerStyle

    marker = MarkerStyle(style["marker"])
    corners = np.asarray(marker.get_path().transformed(marker.get_transform()).to_polygons()[0])
    return [(x, -y) for x, y in (corners * style["markersize"]).tolist()]


def _number(name: str, k: int = 0) -> int:
    """Return the k-th hash of a name."""
    return int(digest(name, str(k)), 16)
