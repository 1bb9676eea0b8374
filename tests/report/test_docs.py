"""The code of docs/analysis.md, as it is written there."""

import re
from pathlib import Path

import pytest

from its.report.runs import load_runs
from scripts.figure import main
from tests.pages import commands

PAGE = Path(__file__).parents[2] / "docs" / "analysis.md"


@pytest.fixture
def outputs(write_run, tmp_path, monkeypatch) -> Path:
    """Runs where the page says they are, and the page's own way to name them."""
    for search in ("none", "random", "zero_order"):
        for seed in (0, 1):
            write_run(search, seed=seed)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "demo").rename(tmp_path / "outputs" / "digits_demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "outputs" / "digits_demo"


def test_analysis_page_snippets_compute_what_the_text_says(outputs):
    names: dict = {}
    blocks = re.findall("```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks[:-1]:
        exec(block, names)
    *lines, last = blocks[-1].strip().splitlines()
    exec("\n".join(lines), names)
    differences = eval(last, names)
    rows = {(run.search, row["nfe_cap"], int(run.seed)): row for run in load_runs(outputs) for row in run.rows}
    best = names["best"].set_index(["search", "nfe_cap"])
    for search, cap, _ in rows:
        values = [rows[search, cap, seed]["fid"] for seed in (0, 1)]
        assert best.loc[(search, cap), "fid"] == min(values)
        assert names["mean"].loc[(search, cap), "fid"] == pytest.approx(sum(values) / 2)
    for (search, cap, seed), row in rows.items():
        assert differences.loc[(seed, cap), search] == row["fid"] - rows["random", cap, seed]["fid"]


def test_analysis_page_command_draws_its_figure_and_its_caption(write_run, tmp_path, monkeypatch):
    sweep, [_, *words] = (
        next(words for words in commands(PAGE) if script in words) for script in ("run.py", "scripts/figure.py")
    )
    [searches] = (word.removeprefix("search=").split(",") for word in sweep if word.startswith("search="))
    for search in searches:
        for seed in (0, 1):
            write_run(search, seed=seed)
    (tmp_path / "outputs").mkdir()
    (tmp_path / "demo").rename(tmp_path / "outputs" / "print_example")
    (tmp_path / "docs" / "figures").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", words)
    main()
    ours, theirs = (folder / "docs/figures/print_example.txt" for folder in (tmp_path, PAGE.parents[1]))
    ours, theirs = (file.read_text(encoding="utf-8").splitlines() for file in (ours, theirs))
    assert (tmp_path / "docs/figures/print_example.png").exists()
    assert ours[0] == theirs[0]
    assert ours[2:4] == theirs[2:4]
