"""Looks of methods: the same whatever else is drawn, and told apart by everyone."""

from itertools import combinations, count
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from its.report.figures import comparison_plot
from its.report.runs import load_runs
from its.report.series import Series, series_of
from its.report.style import (
    FURTHER_MARKERS,
    KNOWN,
    LINES,
    MARKERS,
    PALETTE,
    SIZE,
    line_of,
    look_of,
    outline,
    styles_of,
)
from tests.report.conftest import writer

CONF = Path(__file__).parents[2] / "conf" / "search"
OURS = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "schedule" and "_target_" in path.read_text())
STRANGERS = ("climb", "my_beam", "Tabu-2", "größer")

VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Linear RGB as it is seen (Machado et al. 2009, severity 1)."""


def lab(colour: str, vision) -> np.ndarray:
    """CIE L*a*b* under D65 of a colour as somebody sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(vision) @ linear, 0, 1)
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]] @ seen / [0.9505, 1, 1.089]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.fixture
def looks(tmp_path):
    """Colour, marker and line of every search in a plot of these alone, by legend."""

    def plot(searches):
        parent = tmp_path / "-".join(searches)[:60]
        for search in searches:
            writer(parent)(search)
        axes = comparison_plot(load_runs(parent / "demo")).axes[0]
        lines = [line for line in axes.lines if not line.get_label().startswith("_")]
        return {line.get_label(): (line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}

    return plot


def series(*words):
    """Series of searches alone, in this order."""
    return [Series(search, search, "classifier", False, ()) for search in words]


def colliding() -> tuple[str, str]:
    """Two names that nobody has taken, of one look."""
    first: dict = {}
    for name in (f"method_{k}" for k in count()):
        if look_of(name) in first:
            return first[look_of(name)], name
        first[look_of(name)] = name
    raise AssertionError


def test_every_search_of_ours_has_a_look_of_its_own_and_its_own_marker():
    assert set(OURS) == KNOWN.keys()
    assert len(set(KNOWN.values())) == len({marker for _, marker in KNOWN.values()}) == len(KNOWN)


@pytest.mark.parametrize("vision", VISION)
def test_palette_is_told_apart_by_the_colour_blind(vision):
    places = [lab(colour, VISION[vision]) for colour in PALETTE]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) > 15


def test_markers_differ_in_shape():
    markers = (*MARKERS, *FURTHER_MARKERS)
    shapes = [np.array(outline({"marker": marker, "markersize": 1.0})) for marker in markers]
    corners = [sorted(map(tuple, np.round(shape, 2).tolist())) for shape in shapes]
    assert len({tuple(shape) for shape in corners}) == len(markers)


def test_styles_of_random_are_the_same_in_a_plot_of_two_methods_of_all_and_beside_strangers(looks):
    groups = (["none", "random"], OURS, ["random", *STRANGERS], ["random"], ["beam", "random"])
    assert [looks(group)["random"] for group in groups] == [("#0072B2", "o", "-")] * 5


def test_styles_of_strangers_are_the_same_in_every_subset_and_differ(looks):
    together = looks(["random", *STRANGERS])
    for names in combinations(STRANGERS, 2):
        assert looks(list(names)) == {name: together[name] for name in names}
    assert len({look[:2] for look in together.values()}) == len(together)
    assert not {look[:2] for look in map(together.get, STRANGERS)} & set(KNOWN.values())


def test_look_of_a_name_is_that_of_every_version_and_process():
    assert look_of("climb") == ("#009E73", (4, 1, 0))
    assert line_of("+dps") == (0, (6, 1.2, 1, 1.2))


def test_styles_of_two_strangers_of_one_look_keep_it_and_differ_in_size():
    first, second = colliding()
    [alone] = styles_of(series(second))
    one, other = styles_of(series(first, second))
    same = ("color", "marker", "linestyle", "markerfacecolor")
    assert [one[key] for key in same] == [other[key] for key in same] == [alone[key] for key in same]
    assert alone["markersize"] == one["markersize"] == SIZE < other["markersize"]


def test_styles_of_a_second_axis_are_line_styles(write_run, tmp_path):
    for search in ("random", "zero_order"):
        for eta in ("0", "0.5", "1"):
            write_run(search, extra=f"sampler.eta={eta}")
        write_run(f"{search}+tfg", extra="sampler.eta=0 guidance=tfg")
        write_run(search, "null_rewards", extra="sampler.eta=0")
    every = series_of(load_runs(tmp_path / "demo"))
    styles = {line.legend: style for line, style in zip(every, styles_of(every), strict=True)}
    variants = {line.variant for line in every}
    assert variants == {
        *(f"sampler.eta={eta}" for eta in ("0", "0.5", "1")),
        "+tfg sampler.eta=0",
        "sampler.eta=0 (null_rewards)",
    }
    for search in ("random", "zero_order"):
        own = [style for legend, style in styles.items() if legend.startswith(search)]
        assert {(style["color"], style["marker"]) for style in own} == {look_of(search)}
        assert len({style["linestyle"] for style in own}) == len(variants)
        assert all(style["markerfacecolor"] == "white" for style in own)
    assert styles["random sampler.eta=1"]["linestyle"] == styles["zero_order sampler.eta=1"]["linestyle"]


def test_line_of_guidance_and_of_verifier_is_by_name_alone():
    assert [line_of(variant) for variant in ("", "+tfg", "(null_rewards)")] == ["-", "-.", ":"]
    assert line_of("+dps") in LINES
    assert line_of("+dps") == line_of("+dps") != line_of("+cg")


def test_styles_of_more_steps_are_dashed_unless_it_is_guided():
    styles = styles_of(series("none", "more_steps", "more_steps+tfg", "none+tfg"))
    assert [style["linestyle"] for style in styles] == ["none", "--", "-.", "none"]
    assert [style["markerfacecolor"] == "white" for style in styles] == [False, False, True, True]
