"""Text from runs stays text on every kind of page."""

import contextlib
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest

from its.disk.run_folders import run_folders
from its.disk.store import DamagedFile
from its.report import escape
from its.report.paired_differences import per_image
from its.report.renderings import read_runs
from its.report.report import ReportFolder, make_report
from its.report.runs import UnreadableRun, load_runs
from its.report.series import series_of
from its.report.strips import strips_of
from tests.report.conftest import fabricated_rows, write_shard, writer

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


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An experiment with hostile labels, a hostile reason, and a broken run; its folder, and what its report says."""
    write = writer(tmp_path_factory.mktemp("hostile"))
    folder = write("none", rows=fabricated_rows("none", "classifier", 0, 1000, caps=(5,)))
    summary = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").unlink()
    for name, content in (
        ("seed=1-00000000/metrics.json", json.dumps({**summary, **HOSTILE})),
        ("seed=2-00000000/failed.json", json.dumps({"reason": "ValueError: <b>`|\x1b]0;title\x07\n% $x^{$ \\ =1"})),
        ("seed=3-00000000/metrics.json", "{"),
    ):
        (folder.parent / name).parent.mkdir()
        (folder.parent / name).write_text(content)
    experiment, said = folder.parents[5], io.StringIO()
    with contextlib.redirect_stdout(said):
        make_report(experiment)
    return experiment, said.getvalue()


CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


def test_tables_escape_text_from_runs(hostile):
    report = hostile[0] / "report"
    table, tex = (report / "table.md").read_text("utf-8"), (report / "table.tex").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO((report / "curves.csv").read_text("utf-8"))))
    assert not [cell for row in rows for cell in row.values() if re.match(r"[=+@\t\r]", cell)]
    assert "'=cmd|' /C calc'!A0" in {row["search"] for row in rows}
    assert r"\[x\](javascript" in table
    assert r"=cmd\|' /C" in table
    assert r"\<b\>\`\|\x1b" in table.replace(r"\\x1b", r"\x1b")
    assert r"=cmd\textbar{}' /C" in tex
    assert not CONTROL.search(table + tex + hostile[1])


def test_page_escapes_text_from_runs(hostile):
    html = (hostile[0] / "report" / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "<b>`" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert not CONTROL.search(html)


def test_make_report_names_a_broken_run_and_goes_on(hostile):
    said = "seed=3-00000000/metrics.json cannot be read"
    assert said in hostile[1]
    assert said in (hostile[0] / "report" / "index.html").read_text(encoding="utf-8")
    assert "=cmd|' /C calc'!A0" in hostile[1]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", b"\x00", b"[" * 100_000, None])
def test_read_runs_names_a_broken_run_and_reads_the_others(write_run, tmp_path, content):
    write_run("none")
    summary = write_run("random") / "metrics.json"
    summary.unlink()
    summary.mkdir() if content is None else summary.write_bytes(content)
    runs, failures = read_runs(run_folders(tmp_path), tmp_path)
    assert [run.search for run in runs] == ["none"]
    assert "metrics.json cannot be read" in failures[0].reason


@pytest.mark.parametrize(
    "change",
    [
        {"curve": []},
        {"curve": [{"nfe": "1", "nfe_cap": 5, "images": 1}]},
        {"curve": [1]},
        {"caps": []},
        {"caps": None},
        {"seed": "x"},
        {"images": "many"},
        {"command": "python run.py 'name"},
        {"command": 1},
    ],
)
def test_read_runs_names_a_run_whose_summary_is_no_summary(write_run, tmp_path, change):
    summary = write_run("random") / "metrics.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), **change}))
    runs, failures = read_runs(run_folders(tmp_path), tmp_path)
    assert runs == []
    assert "metrics.json cannot be read" in failures[0].reason


def test_report_folder_forgets_what_it_cannot_read(tmp_path):
    (tmp_path / "table.md").write_text("x")
    for content in ("[]", '{"a": 1}', "{", '{"table.md": {"inputs": []}}', '{"table.md": {"sha256": "0"}}'):
        (tmp_path / "inputs.json").write_text(content)
        folder = ReportFolder(tmp_path)
        assert not folder.current("table.md", "inputs")
        assert folder.read("table.md") == ""


def damaged_shard(write_run) -> tuple[Path, bytes]:
    """Write two runs, of which one has a damaged shard; return its path and what it was."""
    write_run("none", images=4)
    run = write_run("random", images=4)
    write_shard(run, np.arange(16).reshape(4, 4))
    shard = run / "shards/00000000.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    return shard, whole


def test_strips_and_paired_differences_check_the_shards_they_read(write_run, tmp_path):
    shard, _ = damaged_shard(write_run)
    with pytest.raises(UnreadableRun, match=r"is not what manifest\.jsonl says it should be; run its command again"):
        strips_of(tmp_path / "demo", series_of(load_runs(tmp_path / "demo")))
    with pytest.raises(DamagedFile):
        per_image(shard.parents[1], 4, "reward_mean")


@pytest.mark.long
def test_make_report_leaves_out_a_damaged_run_until_it_is_made_again(write_run, tmp_path, capsys):
    shard, whole = damaged_shard(write_run)
    make_report(tmp_path / "demo")
    assert "is not what manifest.jsonl says it should be; run its command again" in capsys.readouterr().out
    shard.write_bytes(whole)
    make_report(tmp_path / "demo")
    assert "failed" not in capsys.readouterr().out
    assert (tmp_path / "demo" / "report" / "samples.png").exists()
