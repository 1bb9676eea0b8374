"""Figures looked into as objects, and their bytes."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from its.report.draw import _aside, _round
from its.report.figures import comparison_figure, comparison_plot, curve_figure, curve_plot, panel_svg, sample_grid
from its.report.panels import Mark, Panel
from its.report.runs import load_runs


@pytest.fixture
def runs(write_run, tmp_path):
    for search in ("none", "more_steps", "random", "zero_order", "bfs_resample"):
        write_run(search)
    write_run("random", "null")
    return load_runs(tmp_path / "demo")


def panel(figure, name):
    (found,) = [axes for axes in figure.axes if name in axes.get_ylabel()]
    return found


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def decoded(content):
    return Image.open(io.BytesIO(content))


def test_comparison_plot_gives_each_kind_of_line_its_style(runs):
    found = lines(panel(comparison_plot(runs), "FID"))
    styles = {label: line.get_linestyle() for label, line in found.items() if label != "random (null)"}
    assert styles == {"none": "None", "more_steps": "--", "random": "-", "zero_order": "-", "bfs_resample": "-"}
    assert found["random (null)"].is_dashed()
    assert found["random (null)"].get_color() == found["random"].get_color()
    solid = [line for label, line in found.items() if "null" not in label]
    assert len({(line.get_color(), line.get_marker()) for line in solid}) == len(solid)
    assert len(found["none"].get_xdata()) == 1


def test_comparison_plot_shows_guided_lines_with_hollow_markers(write_run, tmp_path):
    for search in ("none", "none+tfg", "random", "random+tfg", "zero_order"):
        write_run(search)
    found = lines(panel(comparison_plot(load_runs(tmp_path / "demo")), "FID"))
    for search in ("none", "random"):
        assert found[f"{search}+tfg"].get_color() == found[search].get_color()
        assert found[f"{search}+tfg"].get_marker() == found[search].get_marker()
        assert found[f"{search}+tfg"].get_markerfacecolor() == "white" != found[search].get_markerfacecolor()
    assert (found["random+tfg"].get_linestyle(), found["random"].get_linestyle()) == ("-.", "-")


def test_comparison_plot_has_log_axes_with_ticks_at_the_caps(runs):
    figure = comparison_plot(runs)
    assert [re.match("[A-Za-z ]+", axes.get_ylabel())[0].strip() for axes in figure.axes] == [
        "FID",
        "accuracy",
        "mean reward",
        "inception score",
    ]
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["5", "10", "20", "40"]
        assert axes.get_xlabel() == "network evaluations (NFE) per image"


def test_comparison_plot_draws_metrics_against_spent_nfe(runs):
    line = lines(panel(comparison_plot(runs), "FID"))["bfs_resample"]
    (run,) = [run for run in runs if run.search == "bfs_resample"]
    assert line.get_xdata().tolist() == [row["nfe"] for row in run.rows]
    assert line.get_ydata().tolist() == [row["fid"] for row in run.rows]


def test_comparison_plot_band_is_the_error_over_seeds(write_run, tmp_path):
    for seed in range(3):
        write_run(seed=seed)
    runs = load_runs(tmp_path / "demo")
    axes = panel(comparison_plot(runs), "FID")
    last = [run.rows[-1]["fid"] for run in runs]
    (band,) = axes.collections
    vertices = band.get_paths()[0].vertices
    reach = vertices[vertices[:, 0] == 40][:, 1]
    expected = np.std(last, ddof=1) / np.sqrt(3)
    assert (reach.max() - reach.min()) / 2 == pytest.approx(expected)
    assert lines(axes)["random"].get_ydata()[-1] == pytest.approx(np.mean(last))


def test_comparison_plot_shows_rewards_of_one_verifier(runs):
    axes = panel(comparison_plot(runs), "mean reward")
    assert "random" in lines(axes)
    assert "random (null)" not in lines(axes)
    assert axes.get_title() == "only runs that select by classifier"


@pytest.mark.parametrize(
    ("low", "high", "places"),
    [
        (2.6e8, 5.5e9, [3e8, 1e9, 3e9]),
        (0.0091, 0.14, [0.01, 0.03, 0.1]),
        (1.0, 1e4, [1, 10, 100, 1000, 10000]),
        (13.0, 45.0, [15, 20, 25, 30, 40]),
        (2.1, 3.02, [2.5, 3.0]),
    ],
)
def test_draw_places_cost_ticks_at_round_numbers(low, high, places):
    assert _round(low, high) == places


def test_draw_places_intervals_of_one_cap_side_by_side():
    mark = Mark(10.0, 1.0, 0.0, 2.0, 10.0)
    for ticks in ((10.0, 11.0, 40.0), (10.0,)):
        panel = Panel("paired_fid", "paired", "", "", (0, 1, 2, 3, 4), ((mark,),) * 5, ticks)
        asides = [_aside(panel, k) for k in range(5)]
        assert asides == sorted(set(asides))
        assert asides[2] == pytest.approx(1)
        assert asides[-1] < (1.1**0.5 if len(ticks) > 1 else 1.2)


def test_comparison_plot_has_no_panel_for_missing_columns(write_run, rows_of, tmp_path):
    kept = ("nfe_cap", "nfe", "images", "fid", "fid_se")
    write_run(rows=[{key: row[key] for key in kept} for row in rows_of("random", "classifier", 0, 1000)])
    assert len(comparison_plot(load_runs(tmp_path / "demo")).axes) == 1


def test_comparison_plot_refuses_unequal_numbers_of_images(runs, write_run, tmp_path):
    write_run("random", images=200)
    with pytest.raises(ValueError, match=r"2 groups of runs .* cannot share a figure"):
        comparison_plot(load_runs(tmp_path / "demo"))


def test_comparison_plot_fits_its_page(runs):
    figure = comparison_plot(runs)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.get_figwidth()
    assert box.y1 <= figure.get_figheight()


def test_comparison_figure_gives_the_same_png_and_pdf_bytes_twice(runs):
    first, second = comparison_figure(runs), comparison_figure(runs)
    assert first == second
    assert decoded(first["png"]).size[0] == 1200
    assert "Software" not in decoded(first["png"]).info
    assert first["pdf"].startswith(b"%PDF")
    assert b"CreationDate" not in first["pdf"]


def test_curve_plot_has_panels_bands_number_of_images_and_command(runs):
    run = next(run for run in runs if run.search == "random")
    figure = curve_plot(run.rows, run.label, run.command)
    assert [axes.get_title() for axes in figure.axes] == ["Mean reward", "FID", "Accuracy"]
    assert all(len(axes.collections) == 1 for axes in figure.axes)
    assert "N = 1,000 images" in figure.get_supxlabel()
    assert run.command in figure.get_supxlabel()
    content = curve_figure(run.rows, run.label, run.command)
    assert decoded(content).size[0] == 1200
    assert content == curve_figure(run.rows, run.label, run.command)


def test_curve_plot_without_a_cap_has_a_tick_at_its_cost(rows_of, runs):
    rows = rows_of("more_steps", "classifier", 0, 1000, caps=(None,))
    figure = curve_plot(rows, runs[0].label | {"search": "more_steps"}, "python run.py")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["60"]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_sample_grid_enlarges_images_exactly_in_problem_order(channels, mode):
    images = np.random.default_rng(0).integers(0, 256, (23, 8, 8, channels), dtype=np.uint8)
    grid = decoded(sample_grid(images))
    assert grid.mode == mode
    assert grid.size == (10 * 48 + 9 * 2, 3 * 48 + 2 * 2)
    pixels = np.asarray(grid).reshape(*np.asarray(grid).shape[:2], channels)
    np.testing.assert_array_equal(pixels[50:98:6, 100:148:6], images[12])


def test_sample_grid_keeps_large_images_at_their_size():
    assert decoded(sample_grid(np.zeros((1, 64, 64, 3), dtype=np.uint8))).size == (64, 64)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((101, 4, 4, 1), np.uint8),
        np.zeros((1, 4, 4, 2), np.uint8),
        np.zeros((1, 4, 4, 1)),
        np.zeros((0, 4, 4, 1), np.uint8),
    ],
)
def test_sample_grid_refuses_arrays_that_are_no_images(images):
    with pytest.raises(ValueError, match="they must be uint8"):
        sample_grid(images)


@pytest.mark.parametrize("values", [(0.1385, 0.14), (1.0, 2.0)])
def test_panel_svg_leaves_room_for_long_numbers(values):
    marks = tuple(Mark(x, y, None, None, None) for x, y in enumerate(values))
    panel = Panel("hacking", "path", "reward", "report: pairwise distance", (0,), (marks,))
    svg = panel_svg(panel, [{"label": "a", "color": "#000000", "marker": "o"}])
    [centre] = re.findall(r'rotate\(-90 (-?[\d.]+) [\d.]+\)">report', svg)
    assert float(centre) > 6  # letters of 8.5 points reach to both sides of it
