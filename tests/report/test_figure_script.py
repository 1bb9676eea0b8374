"""scripts/figure.py: what it writes, and over what it does not write."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.figure import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sweep(write_run, tmp_path, monkeypatch):
    """Two methods of two seeds, in the folder `demo` of where the script is called."""
    for search in ("random", "zero_order"):
        for seed in (0, 1):
            write_run(search, seed=seed)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "demo"


@pytest.fixture
def figure(monkeypatch, capsys):
    """Call the script with words; return what it prints, or its error."""

    def call(*words):
        monkeypatch.setattr("sys.argv", ["figure.py", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            return str(end)
        return capsys.readouterr().out

    return call


@pytest.mark.parametrize(("name", "start"), [("fig.pdf", b"%PDF"), ("fig.png", b"\x89PNG"), ("a b.SVG", b"<?xml")])
def test_figure_is_written_in_its_kind_with_its_caption_beside_it(sweep, figure, tmp_path, name, start):
    caption = Path(name).with_suffix(".txt")
    assert figure("demo", "--out", name).splitlines() == [str(tmp_path / name), str(tmp_path / caption)]
    assert (tmp_path / name).read_bytes().startswith(start)
    text = (tmp_path / caption).read_text()
    assert "Bands: ±1.96 standard errors of the mean over seeds." in text
    assert text.splitlines()[-1].partition("figure.py ")[2] == f"demo --out {repr(name) if ' ' in name else name}"


def test_figure_replaces_an_older_figure_and_its_caption(sweep, figure, tmp_path):
    figure("demo", "--out", "fig.pdf")
    first = (tmp_path / "fig.pdf").read_bytes()
    figure("demo", "--out", "fig.pdf", "--metric", "accuracy")
    assert (tmp_path / "fig.pdf").read_bytes() != first
    assert (tmp_path / "fig.txt").read_text().startswith("accuracy ↑ against")


def test_figure_keeps_what_is_no_figure(sweep, figure, tmp_path):
    run = next(sweep.rglob("metrics.json")).parent
    (run / "curve.png").write_bytes(b"of the run")
    for name in ("folder.pdf", "demo/report"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    refused = {
        run / "curve.png": f"lies in the run {run}, whose files are its own; name another folder",
        "folder.pdf": "is a folder; name a file in a folder",
        "nowhere/fig.pdf": "is in no folder; name a file in a folder",
        "demo/report/fid.pdf": "lies in a report, which removes other figures",
        "notes.pdf": "notes.txt is no caption of a figure, and would be replaced; name another --out",
        "fig.gif": "ends in .gif; a figure ends in .pdf, .png, .svg",
        "fig": "ends in nothing; a figure ends in",
    }
    before = sorted(tmp_path.rglob("*"))
    for out, message in refused.items():
        assert message in figure("demo", "--out", out)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_figure_refuses_a_folder_without_a_finished_run(sweep, figure, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no finished run below empty; python scripts/status.py tells" in figure("empty", "--out", "fig.pdf")
    assert "nowhere is not a folder; give <out_dir>/<experiment>" in figure("nowhere", "--out", "fig.pdf")
    assert "invalid choice: 'nef'" in figure("demo", "--x", "nef", "--out", "fig.pdf")


def test_figure_names_runs_that_it_could_not_read(sweep, figure, write_failure):
    write_failure(reason="ValueError: image 3 failed")
    assert (
        "not in the figure: digits/m-ddim/random/classifier/samplings/seed=0-deadbeef: ValueError: image 3"
        in figure("demo", "--out", "fig.pdf")
    )


def test_figure_follows_links_to_runs(sweep, figure, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "all").symlink_to(sweep / "digits")
    figure("demo", "--out", "own.pdf")
    figure("linked", "--out", "linked.pdf")
    assert (tmp_path / "own.pdf").read_bytes() == (tmp_path / "linked.pdf").read_bytes()


def test_figure_runs_as_a_command(sweep, tmp_path):
    words = [sys.executable, ROOT / "scripts" / "figure.py", "demo", "--metric", "fid", "accuracy", "--out", "fig.pdf"]
    assert subprocess.check_output(words, text=True, cwd=tmp_path).splitlines()[0] == str(tmp_path / "fig.pdf")
