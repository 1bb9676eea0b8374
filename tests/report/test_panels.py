"""Panels, apart from their drawing."""

import itertools
from dataclasses import replace

import numpy as np

from its.report.panels import Mark, cost_panels, front_panels, hacking_panels, pareto_front
from its.report.runs import load_runs
from its.report.series import series_of


def test_pareto_front_keeps_the_marks_that_no_other_beats():
    random = np.random.default_rng(0)
    for _ in range(50):
        marks = [
            (k, Mark(float(x), float(y), None, None, None)) for k, (x, y) in enumerate(random.integers(0, 6, (12, 2)))
        ]
        beaten = {
            (one[1].x, one[1].y)
            for one, other in itertools.permutations(marks, 2)
            if other[1].x <= one[1].x and other[1].y <= one[1].y and (other[1].x, other[1].y) != (one[1].x, one[1].y)
        }
        front = [(mark.x, mark.y) for _, mark in pareto_front(marks)]
        assert front == sorted({(mark.x, mark.y) for _, mark in marks} - beaten)


def test_cost_panels_hold_the_numbers_of_the_run(write_run, tmp_path):
    write_run("random")
    (run,) = load_runs(tmp_path / "demo")
    series = series_of([run])
    for cost in ("nfe", "flops", "seconds"):
        panel = cost_panels([run], series, ["fid"], cost)[0]
        assert [(mark.x, mark.y) for mark in panel.marks[0]] == [(row[cost], row["fid"]) for row in run.rows]


def test_panel_table_has_a_row_for_every_mark(write_run, tmp_path):
    for search in ("none", "random", "beam"):
        write_run(search)
    runs = load_runs(tmp_path / "demo")
    series = series_of(runs)
    labels = [one.legend for one in series]
    for panel in (*cost_panels(runs, series), *front_panels(runs, series), *hacking_panels(runs, series)):
        header, rows = panel.table(labels)
        marks = [mark for marks in panel.marks for mark in marks]
        assert len(rows) == len(marks)
        assert all(len(row) == len(header) for row in rows)
        np.testing.assert_allclose(
            [[float(row[2]), float(row[3])] for row in rows], [[mark.x, mark.y] for mark in marks], rtol=1e-3
        )


def test_hacking_panels_compare_rewards_of_one_verifier(write_run, tmp_path):
    for verifier in ("classifier", "null"):
        write_run("random", verifier)
    write_run("none")
    runs = load_runs(tmp_path / "demo")
    series = series_of(runs)
    (fid, accuracy) = hacking_panels(runs, series)
    assert {series[number].verifier for number in fid.series} == {"classifier"}
    run = next(run for run in runs if run.search == "random" and run.verifier == "classifier")
    line = dict(zip(fid.series, fid.marks, strict=True))[[one.legend for one in series].index("random")]
    assert [(mark.x, mark.y) for mark in line] == [(row["reward_mean"], row["fid"]) for row in run.rows]
    assert accuracy.y_label.startswith("report: accuracy")


def test_hacking_panels_hold_each_member_of_an_ensemble_against_what_it_never_saw(write_run, tmp_path):
    write_run("random")
    (run,) = load_runs(tmp_path / "demo")
    rows = [
        {key: value for key, value in row.items() if key not in ("reward_mean", "reward_mean_se")} for row in run.rows
    ]
    rows = [row | {"reward_one_mean": float(k), "reward_two_mean": 10.0 - k} for k, row in enumerate(rows)]
    run = replace(run, rows=tuple(rows))
    panels = {panel.name: panel for panel in hacking_panels([run], series_of([run]))}
    metrics = ("fid", "accuracy")
    assert set(panels) == {f"hacking_reward_{name}_mean_{metric}" for name in ("one", "two") for metric in metrics}
    for name, metric in itertools.product(("one", "two"), metrics):
        panel = panels[f"hacking_reward_{name}_mean_{metric}"]
        assert panel.x_label == f"select: {name} ↑ (of the ensemble)"
        assert [(mark.x, mark.y) for mark in panel.marks[0]] == [
            (row[f"reward_{name}_mean"], row[metric]) for row in rows
        ]
