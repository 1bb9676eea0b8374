"""Text from runs stays text on every kind of page."""

import csv
import io
import re

import pytest

from its.report import escape
from its.report.report import curves_csv, make_report
from its.report.runs import load_runs
from its.report.tables import table_latex, table_markdown, table_text

HOSTILE = {
    "search": "=cmd|' /C calc'!A0",
    "verifier": "<script>alert(1)</script>",
    "metric": "a\x1b[31mred\x07\u202e",
    "dataset": "[x](javascript:alert(1)) `y` $\\input{z}$",
}


def test_csv_text_is_no_formula():
    assert [escape.csv_text(text) for text in ("=1+1", "+1", "-1", "@a", "\tx", "a=1")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@a",
        "'\tx",
        "a=1",
    ]


def test_printable_shows_every_character():
    assert escape.printable("a\x1b[2J\n\u202eb\udcffé") == r"a\x1b[2J\n\u202eb\udcffé"


def test_markdown_keeps_names_and_numbers_readable():
    assert escape.markdown("more_steps -1.2 ± 0.1 (cap=3)") == "more_steps -1.2 ± 0.1 (cap=3)"
    assert escape.markdown("a|b [x](y) `z` <b> *c*") == r"a\|b \[x\](y) \`z\` \<b\> \*c\*"
    assert escape.markdown_code("a`b") == "``a`b``"


@pytest.fixture
def hostile(write_run, write_failure, tmp_path):
    """An experiment of two runs, one with hostile labels, and a failure with a hostile reason."""
    folder = write_run("none")
    text = (folder / "metrics.json").read_text()
    other = folder.parent / "seed=1-00000000"
    other.mkdir()
    import json

    (other / "metrics.json").write_text(json.dumps({**json.loads(text), **HOSTILE}))
    write_failure(reason="ValueError: <b>`|\x1b]0;title\x07\n% $x^{$ \\\\ =1")
    return tmp_path / "demo"


def test_tables_escape_text_from_runs(hostile, capsys):
    runs = load_runs(hostile)
    make_report(hostile)
    said = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said + table_text(runs))
    rows = list(csv.DictReader(io.StringIO(curves_csv(runs))))
    assert not [cell for row in rows for cell in row.values() if re.match(r"[=+@\t\r]", cell)]
    assert r"\[x\](javascript" in table_markdown(runs)
    assert "|' /C" not in table_markdown(runs).replace(r"\|", "")
    assert r"\textbackslash{}input\{z\}" not in table_latex(runs), "titles stand in a comment of one line"
    assert r"\textquotesingle" not in table_latex(runs)


def test_page_escapes_text_from_runs(hostile):
    make_report(hostile)
    html = (hostile / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<b>`" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", html)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"\x00", b"[" * 100_000, None])
def test_make_report_names_a_broken_run_and_goes_on(write_run, tmp_path, capsys, content):
    write_run("none")
    summary = write_run("random") / "metrics.json"
    summary.unlink()
    summary.mkdir() if content is None else summary.write_bytes(content)
    make_report(tmp_path / "demo")
    said = capsys.readouterr().out
    assert "failed:" in said
    assert "metrics.json cannot be read" in said
    assert "none" in (tmp_path / "demo" / "report" / "table.md").read_text()
    assert "metrics.json cannot be read" in (tmp_path / "demo" / "report" / "index.html").read_text()


def test_make_report_names_a_run_whose_shard_is_damaged_until_it_is_made_again(write_run, tmp_path, capsys):
    import numpy as np

    from tests.report.conftest import write_shard

    write_run("none", images=4)
    run = write_run("random", images=4)
    write_shard(run, np.arange(16).reshape(4, 4))
    shard = run / "shards/00000000.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    make_report(tmp_path / "demo")
    assert "is not what manifest.jsonl says it should be; run its command again" in capsys.readouterr().out
    shard.write_bytes(whole)
    make_report(tmp_path / "demo")
    assert "failed" not in capsys.readouterr().out
    assert (tmp_path / "demo" / "report" / "samples.png").exists()


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', "{", '{"table.md": {"inputs": []}}'])
def test_make_report_does_without_what_it_remembered(write_run, tmp_path, content):
    write_run("none")
    make_report(tmp_path / "demo")
    inputs = tmp_path / "demo" / "report" / "inputs.json"
    whole = inputs.read_bytes()
    inputs.write_text(content)
    make_report(tmp_path / "demo")
    assert inputs.read_bytes() == whole
