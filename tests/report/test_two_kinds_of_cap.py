"""Runs with caps in NFE and in verifier calls in one report: on one axis what was spent, and apart what was allowed."""

import numpy as np
import pytest

from its.budget import Cap
from its.report.frame import load_sweep
from its.report.panels import cap_ticks, cost_panels, paired_panels
from its.report.runs import load_runs
from its.report.series import series_of
from its.report.strips import caps_of, strips_of
from its.report.tables import main_table
from its.tracker.chart import rows
from tests.report.conftest import write_shard

CALLS = (5, 10, 20, 40)
"""The same numbers as the caps in NFE, so that a mix-up would not be seen by them."""


def in_calls(rows: list[dict]) -> list[dict]:
    return [{"verifier_calls_cap": row["nfe_cap"], **{k: v for k, v in row.items() if k != "nfe_cap"}} for row in rows]


@pytest.fixture
def runs(write_run, rows_of, tmp_path):
    """`random` and `beam` under both kinds of cap, each with rewards of its images."""
    pick = np.arange(16).reshape(4, 4)
    for search in ("random", "beam"):
        plain = rows_of(search, "classifier", 0, 4)
        more = [row | {"nfe": 3 * row["nfe"], "fid": row["fid"] + 1} for row in plain]
        write_shard(write_run(search, images=4, rows=plain), pick)
        write_shard(write_run(search, images=4, rows=in_calls(more), budget="verifier_calls"), pick)
    return load_runs(tmp_path / "demo")


def test_tables_have_a_column_for_each_kind(runs):
    header, cells = main_table(series_of(runs))
    assert header[:3] == ["method", "NFE cap", "verifier-call cap"]
    assert [row[1:3] for row in cells if row[0] == "beam"] == [
        *([f"{cap}", ""] for cap in CALLS),
        *(["", f"{cap}"] for cap in CALLS),
    ]
    only = main_table(series_of([run for run in runs if run.label["budget"] == "verifier_calls"]))
    assert only[0][1] == "verifier-call cap"
    assert "NFE cap" not in only[0]


def test_frame_has_a_column_for_each_kind(runs, tmp_path):
    frame = load_sweep(tmp_path / "demo")
    assert (frame["nfe_cap"].isna() == frame["verifier_calls_cap"].notna()).all()
    assert frame["verifier_calls_cap"].count() == frame["nfe_cap"].count() == 8


def test_curves_over_nfe_hold_both_kinds_in_the_order_of_what_was_spent(runs):
    series = series_of(runs)
    [panel] = cost_panels(runs, series, ["fid"])
    for marks in panel.marks:
        assert [mark.x for mark in marks] == sorted(mark.x for mark in marks)
        assert {mark.cap for mark in marks} == {Cap(cap, kind) for cap in CALLS for kind in ("nfe", "verifier_calls")}
    header, cells = panel.table(["a", "b"])
    assert header[:3] == ["method", "NFE cap", "verifier-call cap"]
    assert all(bool(row[1]) != bool(row[2]) for row in cells)


def test_cap_ticks_are_caps_of_the_axis_alone(runs):
    series, calls = series_of(runs), [run for run in runs if run.label["budget"] == "verifier_calls"]
    assert cap_ticks(series, "nfe") == cap_ticks(series, "verifier_calls") == CALLS
    assert cap_ticks(series_of(calls), "nfe") == tuple(sorted({row["nfe"] for run in calls for row in run.rows}))
    assert cap_ticks(series, "flops") == ()


def test_paired_differences_compare_caps_of_one_kind(runs, tmp_path):
    panels = {panel.name: panel for panel in paired_panels(tmp_path / "demo", runs, series_of(runs))}
    assert set(panels) == {"paired_reward_mean", "paired_reward_mean_at_verifier_calls"}
    assert panels["paired_reward_mean"].x_label == "NFE cap per image"
    assert panels["paired_reward_mean_at_verifier_calls"].x_label == "verifier-call cap per image"
    assert all(panel.ticks == CALLS for panel in panels.values())


def test_strips_show_the_caps_of_both_runs(runs, tmp_path):
    strips = strips_of(tmp_path / "demo", series_of(runs))
    assert [str(cap) for cap in caps_of(strips)] == [
        *(f"NFE {cap}" for cap in CALLS),
        *(f"verifier calls {cap}" for cap in CALLS),
    ]
    assert all(len(strip.by_cap) == 8 for strip in strips)


def test_chart_of_the_tracker_tells_the_kinds_apart(runs, tmp_path):
    caps = [row[5] for row in rows(tmp_path / "demo")]
    assert {*caps} == {*CALLS, *(f"verifier calls {cap}" for cap in CALLS)}
