"""The page, read as a browser would, without one."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from its.report.page import page
from its.report.runs import load_failures, load_runs
from its.report.section import sections_of
from tests.report.conftest import write_shard, writer

VOID = {"meta", "img", "input", "br"}


class Reader(HTMLParser):
    """Collects elements, and sees that every one is closed."""

    def __init__(self):
        super().__init__()
        self.open, self.found = [], []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(text):
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    return reader.found


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    parent = tmp_path_factory.mktemp("page")
    write = writer(parent)
    for search in ("none", "more_steps", "random", "beam"):
        write_shard(write(search, images=4), np.arange(16).reshape(4, 4))
    write("random", model="digits")
    (failed := parent / "demo" / "digits" / "ses").mkdir()
    (failed / "failed.json").write_text('{"reason": "ValueError: <b>no</b>"}')
    folder = parent / "demo"
    return page("demo", sections_of(folder, load_runs(folder)), load_failures(folder))


def test_page_fetches_no_other_file(html):
    for tag, attributes in read(html):
        assert tag not in ("link", "iframe", "object", "base")
        for key in ("src", "href", "xlink:href", "action"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_page_has_a_table_for_every_plot(html):
    found = read(html)
    figures = [k for k, (tag, _) in enumerate(found) if tag == "figure"]
    assert len(figures) > 12
    for start, end in zip(figures, [*figures[1:], len(found)], strict=True):
        assert {"svg", "details", "table"} <= {tag for tag, _ in found[start:end]}


def test_page_filters_name_every_dataset_model_and_method(html):
    found = read(html)
    methods = {"none", "more_steps", "random", "beam"}
    assert {attributes["value"] for tag, attributes in found if tag == "input"} == methods
    sections = [(a["data-dataset"], a["data-model"]) for tag, a in found if tag == "section"]
    assert sections == [("digits", "digits_unconditional–ddim"), ("digits", "digits–ddim")][::-1]
    drawn = [attributes["data-method"] for tag, attributes in found if tag == "g" and "data-method" in attributes]
    assert set(drawn) == methods


def test_page_escapes_markup_in_failure_reasons(html):
    assert "<b>no</b>" not in html
    assert "&lt;b&gt;no&lt;/b&gt;" in html


def test_page_shows_samples_commands_and_seeds(html):
    assert html.count("data:image/png;base64,") == 16
    assert "seed 0, wanted classes 0, 1, 2, 3." in html
    assert "python run.py -m experiment=demo search=beam,more_steps,none,random" in html


def test_page_legend_has_the_markers_of_the_plots(html):
    corners = [attributes["points"].split() for tag, attributes in read(html) if tag == "polygon"]
    assert [len(points) for points in corners[1:3]] == [11, 5], "the star of none, the diamond of more_steps, closed"


def test_page_escapes_markup_in_settings(write_run, tmp_path):
    write_run("random")
    write_run("random", extra="search.x='<script>alert(1)</script>\"'")
    html = page("demo", sections_of(tmp_path / "demo", load_runs(tmp_path / "demo")), [])
    assert "<script>alert" not in html
    read(html)


def test_page_legend_has_the_line_styles_of_the_plots(write_run, tmp_path):
    for search, verifier in (("random", "classifier"), ("random+tfg", "classifier"), ("more_steps", "classifier")):
        write_run(search, verifier)
    write_run("random", "null_rewards")
    write_run("random", "null")
    html = page("demo", sections_of(tmp_path / "demo", load_runs(tmp_path / "demo")), [])
    swatches = re.findall(r'<li data-method="([^"]+)">.*?stroke-dasharray="([^"]*)"', html)
    dashes = dict(swatches)
    assert [dashes[name] for name in ("random", "random+tfg", "more_steps")] == ["", "9 3 2 3", "6 3"]
    assert dashes["random (null_rewards)"] == "2 3"
    assert re.fullmatch(r"[\d.]+( [\d.]+)+", dashes["random (null)"])
    assert len(set(dashes.values())) == len(swatches) == 5
