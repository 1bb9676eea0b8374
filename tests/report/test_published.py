"""Published numbers stand below ours, with their source; a scorer that selects is not called held out."""

import json

import pytest

from its.report.page import page
from its.report.panels import hacking_panels, metric_label
from its.report.published import PublishedTable, tables_of
from its.report.report import curves_csv
from its.report.runs import load_runs, scorer
from its.report.section import sections_of
from its.report.series import series_of
from its.report.tables import table_latex, table_markdown, table_text
from tests.build import blueprint_of

TABLE = {
    "source": "Doe et al., Table <2>",
    "dataset": "digits",
    "model": "digits_unconditional",
    "images": 200,
    "columns": ["search", "verifier", "nfe", "fid", "report_other"],
    "rows": [["none", "none", 30, 5.79, 1], ["random", "aesthetic", 2880, 6.38, 2]],
}


def write(folder, **entries):
    """Add entries to a run's summary, as an experiment would."""
    file = folder / "metrics.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def test_published_rows_end_every_table_and_are_in_no_other_number(write_run, tmp_path):
    plain = load_runs(write_run().parents[5])
    write(write_run(seed=1), published=[TABLE])
    write(write_run(seed=2), published=[TABLE])
    runs = load_runs(tmp_path / "demo")
    note = "published: Doe et al., Table <2>, of 200 images; measured with other software, not here"
    lines = table_text(runs).splitlines()
    assert note in lines
    assert [line.split("  ")[0] for line in lines[-2:]] == ["published: none", "published: random (aesthetic)"]
    assert {"2880", "200", "6.38"} <= set(lines[-1].split())
    assert "report_other" not in table_text(runs), "a column that none of ours has"
    for text in (table_markdown(runs), table_latex(runs), page("demo", sections_of(tmp_path / "demo", runs), [])):
        assert text.count("published: random (aesthetic)") == 1
    assert "Table &lt;2&gt;" in page("demo", sections_of(tmp_path / "demo", runs), [])
    assert "6.38" not in curves_csv(runs)
    assert len(series_of(runs)) == len(series_of(plain)) == 1


@pytest.mark.parametrize("other", [{"model": "flux_dev"}, {"dataset": "drawbench"}])
def test_published_rows_are_of_one_dataset_and_model(write_run, tmp_path, other):
    write(write_run(), published=[TABLE | other])
    assert "published" not in table_text(load_runs(tmp_path / "demo"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("a text", r"published is 'a text'; it is a list of tables"),
        ([{"source": "x"}], "a table has source, dataset, model, images, columns, rows"),
        ([TABLE | {"more": 1}], "and nothing else"),
        ([TABLE | {"images": 0}], "published.images is 0; it is a whole number of at least 1"),
        ([TABLE | {"columns": ["method", "nfe"]}], "they are search, verifier, nfe and columns of curve.csv"),
        ([TABLE | {"columns": [*TABLE["columns"], "fid"]}], "each once"),
        ([TABLE | {"rows": [["none", "none", 30]]}], "a row is two texts and a number for each column"),
        ([TABLE | {"rows": [["none", 1, 30, 1, 1]]}], "a row is two texts"),
        ([TABLE | {"rows": [["none", "none", 30, "5.8", 1]]}], "a row is two texts"),
        ([TABLE | {"rows": [["none", "none", 30, True, 1]]}], "each entry text or a number"),
    ],
)
def test_tables_of_refuses_what_is_no_table_of_numbers(entries, message):
    with pytest.raises(ValueError, match=message):
        tables_of(entries)


def test_published_of_a_configuration_is_checked_and_counts_for_no_image(tmp_path):
    word = "published=[{source: s, dataset: digits, model: m, images: 1, columns: [search, verifier, nfe], rows: []}]"
    plain, table = blueprint_of(tmp_path), blueprint_of(tmp_path, word)
    assert table.folder == plain.folder
    assert table.metrics_config_hash != plain.metrics_config_hash, "a finished run learns of it"
    assert isinstance(tables_of(table.plain["published"])[0], PublishedTable)
    with pytest.raises(ValueError, match=r"published has .*a table has source"):
        blueprint_of(tmp_path, "published=[{source: s}]")


def test_scorer_that_selects_in_some_run_is_not_called_held_out(write_run, rows_of, tmp_path):
    scored = [row | {"report_clip": 0.5, "report_hps": 0.2} for row in rows_of("random", "clip", 0, 1000)]
    write(write_run(verifier="clip", rows=scored), own_scores=["clip"])
    runs = load_runs(tmp_path / "demo")
    assert (scorer("report_clip", runs), scorer("report_hps", runs)) == ("clip", "hps, held out")
    assert metric_label("report_clip", runs) == "clip ↑"
    assert metric_label("report_hps", runs) == "hps ↑ (held out)"
    text = table_text(runs)
    assert "clip ↑" in text
    assert "clip, held out" not in text
    assert "hps, held out ↑" in text
    assert "not held out: clip selects by clip" in text
    assert {"hacking_report_hps"} == {p.name for p in hacking_panels(runs, series_of(runs)) if "report" in p.name}
