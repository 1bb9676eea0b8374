"""The protocol stands beside every FID: in tables, captions and the page, and says so where runs differ in it."""

from dataclasses import replace
from pathlib import Path

from its.report.caption import caption
from its.report.panels import cost_panels
from its.report.paper_caption import paper_caption
from its.report.remarks import protocols_of
from its.report.runs import RunRecord
from its.report.series import series_of
from its.report.tables import table_latex, table_markdown, table_text

ONE = "labels balanced · 256x256 · features inception-6726825d · reference statistics VIRTUAL_imagenet256_labeled.npz"
OTHER = ONE.replace("balanced", "uniform")


def run_of(protocol: str, seed: int = 0) -> RunRecord:
    row = {"nfe_cap": 5, "nfe": 5.0, "images": 50_000, "fid": 10.0, "fid_se": 0.1}
    label = dict.fromkeys(("name", "dataset", "model", "sampler", "search", "verifier", "budget", "metric"), "x")
    return RunRecord(Path(f"r{seed}"), {**label, "seed": str(seed)}, "python run.py", 50_000, (row,), protocol=protocol)


def test_protocol_stands_in_every_table_and_caption():
    runs = [run_of(ONE, 0), run_of(ONE, 1)]
    series = series_of(runs)
    panels = cost_panels(runs, series)
    for text in (
        table_markdown(runs),
        table_text(runs),
        table_latex(runs),
        caption(runs, series, panels).replace("\n", " "),
        paper_caption(runs, series, panels, "nfe", [line.legend for line in series]).replace("L", "l"),
    ):
        place = text.replace("\\_", "_").find("features inception-6726825d")
        assert place > 0, text
        assert "256x256" in text[:place]


def test_protocols_of_runs_that_were_measured_otherwise_are_both_said():
    assert protocols_of([run_of(ONE), run_of(OTHER, 1), run_of(ONE, 2)]) == [f"not measured alike: {ONE}; {OTHER}"]


def test_protocols_of_a_version_that_left_none_are_none():
    run = run_of("")
    assert protocols_of([run]) == []
    assert table_text([run]) == table_text([replace(run, protocol="")])
