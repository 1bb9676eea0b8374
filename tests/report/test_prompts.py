"""The report of runs of prompts: its numbers against those of the shards, and prompts as strangers write them."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from its.budget import cap_of
from its.report.asked import asked_by, scores_in
from its.report.escape import printable
from its.report.lettering import font, wrapped
from its.report.report import make_report
from its.report.runs import load_runs
from its.report.section import sections_of
from its.report.series import series_of
from its.report.sheets import best_of
from its.report.wins import win_note, win_panels, wins_of
from tests.build import arrays_in, make_experiment
from tests.run.test_prompts import PAINTER

HOSTILE = (
    '</section><script>alert("1")</script><img src=x onerror=alert(1)>',
    "a | pipe, `code`, [link](http://x) and *stars* \\",
    r"\input{/etc/passwd} $x_1^2$ 50% & #1 {} ~",
    "=HYPERLINK(1)\x1b[2J\u202e",
    "a very long prompt without an end, " * 150,
    "夜" * 400,
)
CATEGORIES = ("=1+1", "<b>|</b>", "$a_b$", "=1+1", "\x1b[31m", "<b>|</b>")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """Runs of none, random and random by another verifier, of hostile prompts."""
    root = tmp_path_factory.mktemp("sweep")
    entries = [{"p": prompt, "c": category} for prompt, category in zip(HOSTILE, CATEGORIES, strict=True)]
    (root / "list.jsonl").write_text("\n".join(map(json.dumps, entries)))
    words = (*PAINTER, "dataset=prompts", f"dataset.path={root}/list.jsonl", "dataset.column=p", "dataset.category=c")
    words = (*words, "dataset.images_per_prompt=2", "shard=5", "+verifier@report.red=redness", "name=sweep")
    for search, *more in (("none",), ("random",), ("random", "verifier=redness", "allow_same_scorer=true")):
        make_experiment(root, *words, f"search={search}", *more).run()
    return root / "sweep"


@pytest.fixture(scope="module")
def report(sweep, tmp_path_factory) -> Path:
    make_report(sweep)
    return sweep / "report"


def images_of(run, sweep):
    """Rewards and held-out scores of every image at every cap, from the run's own files."""
    folder = sweep / run.folder
    rewards, scores = [], []
    for shard in sorted((folder / "shards").glob("*.safetensors")):
        arrays = arrays_in(shard)
        [file] = folder.glob(f"features/redness-*/{shard.name}")
        rewards.append(arrays["reward"])
        scores.append(arrays_in(file)["scores"][arrays["pick"]])
    return np.concatenate(rewards), np.concatenate(scores)


def test_win_rates_are_those_of_the_stored_scores(sweep):
    runs = load_runs(sweep)
    none, random, _ = (run for run in runs if run.search in ("none", "random"))
    scores, series = scores_in(sweep), series_of(runs)
    for column, number in (("reward_mean", 0), ("report_red", 1)):
        ours, base = images_of(random, sweep)[number], images_of(none, sweep)[number]
        for cap, wins in enumerate(wins_of(random, runs, column, scores)):
            expected = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(ours[:, cap], base[:, 0], strict=True)]
            assert wins.outcomes.tolist() == expected
    panels = {panel.name: panel for panel in win_panels(runs, series, scores)}
    assert panels.keys() == {"wins_reward_mean", "wins_report_red"}
    assert panels["wins_reward_mean"].marks[0][0].y == 0.5, "the same image at one sampling"
    legends = [series[k].legend for k in panels["wins_reward_mean"].series]
    assert legends == ["random"], "rewards of another verifier than none's are not compared"
    assert "none" not in [series[k].legend for k in panels["wins_report_red"].series]


def test_win_rates_without_plain_sampling_say_so(sweep):
    runs = [run for run in load_runs(sweep) if run.search != "none"]
    scores = scores_in(sweep)
    assert win_panels(runs, series_of(runs), scores) == []
    assert "Left out: there is no run of search=none with the same seed" in win_note(runs, series_of(runs), scores)


def test_report_of_prompts_draws_rewards_where_there_is_no_fid(sweep, report):
    names = {path.stem for path in report.glob("*.png")}
    assert {"rewards_vs_nfe", "rewards_vs_verifier_calls", "rewards_vs_seconds", "wins", "hacking"} <= names
    assert not [name for name in names if "fid" in name or "pareto" in name]
    [section] = sections_of(sweep, load_runs(sweep))
    columns = {
        panel.name.partition("_vs_")[0] for plot in section.plots for panel in plot.panels if "_vs_" in panel.name
    }
    assert columns == {"reward_mean", "report_red", "pairwise"}
    assert len([*(report / "prompts").glob("*.png")]) == len(HOSTILE)


def test_report_of_prompts_names_the_list_and_its_hash(report):
    assert re.search(r"prompts list\.jsonl, 6 prompts, sha256 [0-9a-f]{16}", (report / "index.html").read_text())


def test_category_means_are_those_of_its_images(sweep):
    [section] = sections_of(sweep, load_runs(sweep))
    header, rows = section.categories
    [random] = [run for run in load_runs(sweep) if run.search == "random" and run.verifier == "closeness"]
    rewards, scores = images_of(random, sweep)
    of = np.array([printable(CATEGORIES[k % 6]) for k in range(12)])
    [row] = [row for row in rows if row[:2] == ["random", "=1+1"]]
    assert row[2] == "4"
    assert float(row[header.index("reward ↑")]) == pytest.approx(rewards[of == "=1+1", -1].mean(), rel=1e-3)
    assert float(row[header.index("red ↑")]) == pytest.approx(scores[of == "=1+1", -1].mean(), rel=1e-3)


def test_contact_sheet_shows_the_best_image(sweep):
    [section] = sections_of(sweep, load_runs(sweep))
    group, [random] = section.prompt_runs, [run for run in section.runs if run.search == "random"][:1]
    rewards, _ = images_of(random, sweep)
    for number, prompt in enumerate(group.wishes.images_of):
        for position, row in enumerate(random.rows):
            pair = [number, number + 6]
            assert best_of(random, group, prompt, cap_of(row)) == pair[int(rewards[pair, position].argmax())]


def test_sheets_of_hostile_prompts_fit(report):
    for sheet in sorted((report / "prompts").glob("*.png")):
        with Image.open(sheet) as picture:
            assert picture.width < 900
            assert picture.height < 2500, "a prompt of 5,250 letters is cut"


class Texts(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags, self.text, self.alts = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")], attrs
        self.alts += [value for name, value in attrs if name == "alt"]

    def handle_data(self, data):
        self.text.append(data)


def test_page_shows_hostile_prompts_as_text(report):
    page = Texts((report / "index.html").read_text())
    assert page.tags.count("script") == 1, "the page's own"
    assert page.tags.count("section") == 1
    assert {printable(prompt) for prompt in HOSTILE[:4]} <= {*page.alts}
    assert any("<b>|</b>" in text for text in page.text)


def test_tables_show_hostile_categories_as_text(report):
    lines = [line for line in (report / "categories.md").read_text().splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, "as many cells in each row"
    assert "<b>" not in "".join(lines).replace(r"\<b\>", "")
    latex = (report / "categories.tex").read_text()
    assert r"\$a\_b\$" in latex
    for name in ("categories.md", "categories.tex", "prompts.csv", "table.md", "index.html"):
        text = (report / name).read_text()
        assert not [sign for sign in text if not sign.isprintable() and sign != "\n"], name


def test_prompts_csv_holds_no_formula(report):
    rows = list(csv.DictReader(io.StringIO((report / "prompts.csv").read_text())))
    assert len(rows) == 3 * 2 * len(HOSTILE)
    assert {row["prompt"].removeprefix("'") for row in rows} == {*map(printable, HOSTILE)}
    for row in rows:
        assert not row["prompt"].startswith(("=", "+", "-", "@"))
        assert not row["category"].startswith(("=", "+", "-", "@"))


def test_report_prints_no_control_character(sweep, report, capsys):
    make_report(sweep)
    assert not [sign for sign in capsys.readouterr().out if not sign.isprintable() and sign != "\n"]


def test_asked_by_refuses_what_was_not_written(sweep, tmp_path):
    run = load_runs(sweep)[0]
    assert asked_by(tmp_path, run) is None
    path = sweep / run.folder / "problems.jsonl"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-9])
        with pytest.raises(ValueError, match=r"problems.jsonl is not what was written; run its command again"):
            asked_by(sweep, run)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("text", ["word " * 60, "x" * 300, "", "a\u200bb", "short"])
def test_wrapped_lines_fit_and_lose_nothing(text):
    lines = wrapped(text, font(12), 100, 400)
    assert all(font(12).getlength(line) <= 100 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    cut = wrapped(text, font(12), 100, 2)
    assert len(cut) <= 2
    assert cut[-1].endswith("…") == (len(lines) > 2)
