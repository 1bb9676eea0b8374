"""A figure for print, looked into as an object, and what its caption says of it."""

import io
import logging
import re
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from its.report.choice import Choice
from its.report.figures import comparison_plot, encoded
from its.report.paper import paper_figure
from its.report.runs import load_runs

SIX = ("none", "more_steps", "random", "zero_order", "bfs_resample", "ses")


@pytest.fixture
def runs(write_run, tmp_path):
    """Six methods of two seeds."""
    for search in SIX:
        for seed in (0, 1):
            write_run(search, seed=seed)
    return load_runs(tmp_path / "demo")


def figure_of(runs, columns=1, **choice):
    return paper_figure(runs, Choice(**choice), columns)


def lines(axes):
    return {line.get_gid(): line for line in axes.lines if (line.get_gid() or "").startswith("series")}


def band(axes, number):
    """The lower and the upper end of a line's band, from the cheapest point on."""
    [patch] = [part for part in axes.collections if part.get_gid() == f"series-{number}"]
    vertices = patch.get_paths()[0].vertices
    costs = lines(axes)[f"series-{number}"].get_xdata()
    at = [vertices[np.isclose(vertices[:, 0], cost), 1] for cost in costs]
    return np.array([ends.min() for ends in at]), np.array([ends.max() for ends in at])


def curve(runs, search, column):
    """Numbers by seed and cap."""
    return np.array([[row[column] for row in run.rows] for run in runs if run.search == search])


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_paper_figure_bands_are_errors_over_two_seeds(runs):
    figure, caption = figure_of(runs, metrics=["accuracy", "fid"], methods=["random", "zero_order"])
    for axes, column in zip(figure.axes, ("accuracy", "fid"), strict=True):
        for number, search in enumerate(("random", "zero_order")):
            values = curve(runs, search, column)
            error = 1.96 * np.std(values, axis=0, ddof=1) / np.sqrt(2)
            low, high = band(axes, number)
            np.testing.assert_allclose(lines(axes)[f"series-{number}"].get_ydata(), values.mean(axis=0))
            np.testing.assert_allclose((low, high), (values.mean(axis=0) - error, values.mean(axis=0) + error))
    assert "Each point is the mean over 2 seeds (0, 1). Of two seeds a standard error is rough." in caption
    assert "Bands: ±1.96 standard errors of the mean over seeds." in caption


def test_paper_figure_bands_of_one_seed_are_the_stored_errors(write_run, tmp_path):
    write_run()
    runs = load_runs(tmp_path / "demo")
    figure, caption = figure_of(runs, metrics=["fid", "recall"])
    [values], [errors] = curve(runs, "random", "fid"), curve(runs, "random", "fid_se")
    np.testing.assert_allclose(band(figure.axes[0], 0), (values - 1.96 * errors, values + 1.96 * errors))
    assert "Each point is of 1 seed (0)." in caption
    assert (
        "Bands: ±1.96 standard errors as stored with the run, where there is one seed (FID ↓); "
        "none, where there is one seed and no stored error (recall ↑)."
    ) in caption
    assert not [path for part in figure.axes[1].collections for path in part.get_paths()], "no band of recall"


def test_paper_caption_says_which_points_have_which_band(write_run, rows_of, tmp_path):
    for seed in range(3):
        write_run("zero_order", seed=seed)
    write_run("random", seed=0)
    write_run("random", seed=1, rows=rows_of("random", "classifier", 1, 1000)[2:])
    _, caption = figure_of(load_runs(tmp_path / "demo"))
    assert (
        "Each point is the mean over its seeds: 2 seeds (0, 1) of random; 3 seeds (0, 1, 2) of zero_order." in caption
    )
    assert (
        "Bands: ±1.96 standard errors of the mean over seeds (FID ↓ of random at 20 and 40 NFE and zero_order); "
        "±1.96 standard errors as stored with the run, where there is one seed (FID ↓ of random at 5 and 10 NFE)."
    ) in caption


@pytest.mark.parametrize("cost", ["nfe", "verifier_calls", "flops", "seconds"])
def test_paper_figure_is_against_the_mean_cost_that_was_spent(runs, cost):
    figure, caption = figure_of(runs, methods=["bfs_resample"], cost=cost)
    [axes] = figure.axes
    np.testing.assert_allclose(lines(axes)["series-0"].get_xdata(), curve(runs, "bfs_resample", cost).mean(axis=0))
    assert axes.get_xscale() == "log"
    names = {"nfe": "NFE", "verifier_calls": "verifier calls", "flops": "FLOPs", "seconds": "seconds"}
    assert axes.get_xlabel() == f"{names[cost]} per image"
    assert names[cost] in caption.splitlines()[0]


def test_paper_figure_has_panels_methods_and_labels_as_chosen(runs):
    figure, caption = figure_of(
        runs,
        metrics=["accuracy", "fid", "kid"],
        methods=["zero_order", "random", "none"],
        labels=["random=Best-of-N", "fid=FID (pixels)", "nfe=Evaluations"],
        columns=2,
    )
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy ↑", "FID (pixels)", "KID ↓"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"Evaluations"}
    assert legend(figure) == ["zero_order", "Best-of-N", "none"]
    assert caption.startswith(
        "accuracy ↑, FID ↓ (report-classifier features) and KID ↓ against mean network evaluations"
    )
    assert "methods: zero_order, Best-of-N (random), none." in caption


def test_paper_figure_lines_look_as_in_the_report(runs):
    report = {line.get_label(): line for line in comparison_plot(runs).axes[0].lines}
    figure, _ = figure_of(runs, methods=["zero_order", "more_steps", "random"])
    for number, search in enumerate(("zero_order", "more_steps", "random")):
        line = lines(figure.axes[0])[f"series-{number}"]
        for look in ("color", "marker", "linestyle", "markerfacecolor"):
            assert getattr(line, f"get_{look}")() == getattr(report[search], f"get_{look}")()


def test_paper_figure_of_two_guidances_has_two_line_styles(write_run, tmp_path):
    for search in ("random", "random+tfg", "zero_order", "zero_order+tfg"):
        write_run(search)
    runs = load_runs(tmp_path / "demo")
    with pytest.raises(ValueError, match=r"differ in guidance \(none, tfg\)"):
        figure_of(runs)
    figure, caption = figure_of(runs, where=["guidance=none,tfg"], labels=["random=Best-of-N"])
    found = lines(figure.axes[0]).values()
    assert [line.get_linestyle() for line in found] == ["-", "-.", "-", "-."]
    assert len({(line.get_color(), line.get_marker()) for line in found}) == 2
    assert legend(figure) == ["Best-of-N", "Best-of-N+tfg", "zero_order", "zero_order+tfg"]
    assert "guidance none and tfg;" in caption


def test_paper_caption_says_what_a_panel_lacks(write_run, rows_of, tmp_path):
    write_run("random")
    write_run("zero_order", "null")
    rows = [row | {"verifier_calls": 0.0, "reward_mean": None} for row in rows_of("none", "classifier", 0, 1000)]
    write_run("none", rows=rows)
    runs, where = load_runs(tmp_path / "demo"), ["verifier=classifier,null"]
    _, caption = figure_of(runs, metrics=["fid", "reward_mean"], where=where)
    assert "Not in the panel of mean reward ↑: none (no such number)." in caption
    assert (
        "Not in the panel of mean reward ↑: zero_order (null) (rewards of another verifier are on another scale)."
        in caption
    )
    assert "Not in the panel of FID" not in caption
    _, caption = figure_of(runs, cost="verifier_calls", where=where)
    assert "Not in the panel of FID ↓: none (no verifier_calls above 0)." in caption
    with pytest.raises(ValueError, match="no chosen method has fid at a verifier_calls above 0"):
        figure_of(runs, cost="verifier_calls", where=where, methods=["none"])


def test_paper_caption_names_runs_and_the_commands_that_make_them(runs):
    _, caption = figure_of(runs, methods=["random", "zero_order"])
    assert (
        "Data set digits, model digits_unconditional, sampler ddim, select verifier classifier, guidance none; "
        "N = 1,000 images per point and seed."
    ) in caption
    [command] = caption.partition("The runs:\n")[2].splitlines()
    assert "run.py -m experiment=demo search=random,zero_order verifier=classifier images=1000 seed=0,1" in command


@pytest.mark.parametrize(("columns", "width"), [(1, 3.25), (2, 6.75)])
@pytest.mark.parametrize(
    "metrics", [["fid"], ["fid", "accuracy"], ["fid", "accuracy", "kid"], ["fid", "isc", "kid", "recall"]]
)
def test_paper_figure_fits_its_columns_in_legible_print(runs, columns, width, metrics):
    figure, _ = figure_of(runs, metrics=metrics, columns=columns)
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    assert figure.get_figwidth() == width
    assert min(box.x0, box.y0) >= 0
    assert box.x1 <= width
    assert box.y1 <= figure.get_figheight()

    # Texts are of 7 to 9 points, and the legend covers no panel.
    sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text() and text.get_visible()}
    assert min(sizes) >= 7
    assert max(sizes) <= 9
    [names] = figure.legends
    assert not any(names.get_window_extent().overlaps(axes.get_window_extent()) for axes in figure.axes)

    assert not touching(figure)


def touching(figure):
    """Names of ticks that touch the next one."""
    labels = [[label for label in axes.get_xticklabels() if label.get_text()] for axes in figure.axes]
    pairs = [pair for of_axes in labels for pair in pairwise(of_axes)]
    return [a.get_text() for a, b in pairs if a.get_window_extent().x1 >= b.get_window_extent().x0]


@pytest.mark.parametrize("cost", ["nfe", "flops"])
def test_paper_figure_names_no_more_costs_than_fit(write_run, rows_of, tmp_path, cost):
    caps = tuple(50 * 2**k for k in range(9))
    write_run(rows=rows_of("random", "classifier", 0, 1000, caps=caps))
    figure, _ = figure_of(load_runs(tmp_path / "demo"), 2, metrics=["fid", "accuracy", "kid"], cost=cost)
    figure.draw_without_rendering()
    assert not touching(figure)
    assert all(len([label for label in axes.get_xticklabels() if label.get_text()]) >= 3 for axes in figure.axes)


def test_paper_figure_refuses_a_name_wider_than_itself(runs):
    label = "a name that nobody can print beside a line in one column of a paper"
    with pytest.raises(ValueError, match=rf"'{label}' is wider than the figure; shorten it with --labels"):
        figure_of(runs, labels=[f"random={label}"])


@pytest.mark.parametrize("kind", ["pdf", "png", "svg"])
def test_encoded_figure_is_the_same_bytes_without_a_date(runs, kind):
    first, second = (encoded(figure_of(runs)[0], kind) for _ in range(2))
    assert first == second
    assert not re.search(rb"CreationDate|<dc:date>|Matplotlib v", first)


def test_encoded_pdf_says_nothing_of_its_fonts(runs, caplog):
    with caplog.at_level(logging.INFO):
        encoded(figure_of(runs)[0], "pdf")
    assert not caplog.records


def test_encoded_pdf_has_text_as_truetype(runs):
    content = encoded(figure_of(runs)[0], "pdf")
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_encoded_png_has_its_width_in_pixels(runs):
    content = encoded(figure_of(runs, columns=2)[0], "png", dpi=300)
    assert Image.open(io.BytesIO(content)).size[0] == 2025
