"""Renderings in a report: lines beside their runs, at the NFE of search and last sampling together."""

import pytest

from its.disk.run_folder import RunFolder
from its.disk.run_folders import run_folders
from its.report.panels import cost_panels, paired_panels
from its.report.renderings import read_runs
from its.report.report import make_report
from its.report.series import series_of
from tests.build import make_experiment
from tests.rerun.test_render import NO_METRICS, render

SMALL = (
    "images=12",
    "shard=6",
    "sampler.eta=0",
    "sampler.steps=2",
    "budget.samplings=[1,3]",
    "batch=16",
    *NO_METRICS[:-1],
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Two searches, each rendered in seven steps; the folder of their experiment."""
    for search in ("random", "zero_order"):
        run = make_experiment(tmp_path_factory.getbasetemp(), f"search={search}", *SMALL)
        run.run()
        render(run, "sampler.steps=7").run()
    return run.folder.parents[5]


def test_read_runs_puts_renderings_beside_their_runs(experiment):
    runs, failures = read_runs(run_folders(experiment), experiment)
    assert not failures
    legends = [line.legend for line in series_of(runs)]
    assert legends == ["random", "random rendered by ddim steps=7", "zero_order", "zero_order rendered by ddim steps=7"]


def test_rendering_stands_at_the_nfe_of_search_and_last_sampling(experiment):
    runs, _ = read_runs(run_folders(experiment), experiment)
    series = series_of(runs)
    panel = next(panel for panel in cost_panels(runs, series) if panel.name == "fid_vs_nfe")
    assert [[mark.x for mark in marks] for marks in panel.marks] == [[2, 6], [2 + 7, 6 + 7]] * 2
    final = {run.rendered: [row.get("nfe_final") for row in run.rows] for run in runs}
    assert final == {"": [None, None], "ddim steps=7": [7, 7]}


def test_rendering_is_compared_with_the_rendered_random(experiment):
    runs, _ = read_runs(run_folders(experiment), experiment)
    series = series_of(runs)
    rows = {(run.search, run.rendered): run.rows for run in runs}
    panel = next(panel for panel in paired_panels(experiment, runs, series) if panel.name == "paired_fid")
    assert [series[number].legend for number in panel.series] == [series[2].legend, series[3].legend]
    for number, rendered in enumerate(("", "ddim steps=7")):
        pairs = zip(rows["zero_order", rendered], rows["random", rendered], strict=True)
        assert [mark.y for mark in panel.marks[number]] == pytest.approx(
            [ours["fid"] - theirs["fid"] for ours, theirs in pairs]
        )


def test_report_says_where_renderings_stand_and_names_damaged_ones(experiment, capsys):
    make_report(experiment)
    assert "zero_order rendered by ddim steps=7" in (experiment / "report" / "table.md").read_text()
    assert "of their search and of their last sampling together" in (experiment / "report" / "index.html").read_text()
    capsys.readouterr()
    (summary,) = (RunFolder(path).summary for path in experiment.rglob("renders/*") if "zero_order" in str(path))
    whole = summary.read_bytes()
    summary.write_bytes(whole[:-20])
    try:
        make_report(experiment)
    finally:
        summary.write_bytes(whole)
    assert f"{summary.parent.relative_to(experiment)}" in capsys.readouterr().out
