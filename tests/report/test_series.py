"""Lines of a figure: seeds, caps, labels."""

from statistics import stdev

import pytest

from its.report.runs import load_runs
from its.report.series import series_of


def labels(runs):
    return [one.legend for one in series_of(runs)]


def test_series_error_of_three_seeds_is_over_the_seeds(write_run, tmp_path):
    for seed in range(3):
        write_run(seed=seed)
    runs = load_runs(tmp_path / "demo")
    (series,) = series_of(runs)
    values = [run.rows[1]["fid"] for run in runs]
    point = series.points("fid")[1]
    assert point.value == pytest.approx(sum(values) / 3)
    assert point.error == pytest.approx(stdev(values) / 3**0.5)
    assert point.seeds == 3


def test_series_error_of_two_seeds_is_over_their_images(write_run, tmp_path):
    for seed in range(2):
        write_run(seed=seed)
    runs = load_runs(tmp_path / "demo")
    errors = [run.rows[1]["fid_se"] for run in runs]
    assert series_of(runs)[0].points("fid")[1].error == pytest.approx((errors[0] ** 2 + errors[1] ** 2) ** 0.5 / 2)


def test_series_error_of_one_seed_is_that_of_the_column(write_run, tmp_path):
    write_run()
    (run,) = load_runs(tmp_path / "demo")
    points = series_of([run])[0].points("fid")
    assert [point.error for point in points] == [row["fid_se"] for row in run.rows]
    assert [point.value for point in points] == [row["fid"] for row in run.rows]


def test_series_drops_nan_values_and_infinite_errors(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 1)
    rows[0]["fid"] = float("nan")
    for row in rows:
        row["fid_se"] = float("inf")
    write_run(rows=rows, images=1)
    points = series_of(load_runs(tmp_path / "demo"))[0].points("fid")
    assert [point.cost for point in points] == [10, 20, 40]
    assert {point.error for point in points} == {None}


def test_series_of_no_search_is_one_point(write_run, tmp_path):
    for seed in range(2):
        write_run("none", seed=seed)
    assert len(series_of(load_runs(tmp_path / "demo"))[0].points("fid")) == 1


def test_series_joins_runs_of_single_caps_into_one_line(write_run, rows_of, tmp_path):
    rows = rows_of("random", "classifier", 0, 1000)
    for row in rows:
        write_run(rows=[row], budget=f"nfe_{row['nfe_cap']}")
    (series,) = series_of(load_runs(tmp_path / "demo"))
    assert [point.cost for point in series.points("fid")] == [5, 10, 20, 40]


def test_series_labels_name_another_verifier_and_differing_settings(write_run, tmp_path):
    write_run("none")
    write_run("random")
    write_run("random", "null")
    write_run("zero_order")
    write_run("zero_order", extra="search.cosine=0.8")
    write_run("zero_order+tfg", extra="guidance=tfg")
    assert labels(load_runs(tmp_path / "demo")) == [
        "none",
        "random",
        "random (null)",
        "zero_order",
        "zero_order cosine=0.8",
        "zero_order+tfg",
    ]


def test_series_of_one_seed_with_different_numbers_stay_apart(write_run, rows_of, tmp_path):
    write_run(rows=rows_of("random", "classifier", 0, 1000))
    write_run(rows=rows_of("random", "classifier", 7, 1000), extra="batch=3")
    runs = load_runs(tmp_path / "demo")
    assert labels(runs) == [f"random #{run.folder.name[-8:]}" for run in runs]
