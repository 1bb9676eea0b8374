"""The pages on things of one's own: their files, written as they are printed, run by the commands that stand there."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.new import commands_of, files_of
from tests.forked import Finished, forked
from tests.pages import ROOT, blocks
from tests.test_readme import rows

PAGES = sorted((ROOT / "docs").glob("own-*.md"))

EXACT = ("method", "NFE cap", "NFE", "verifier calls", "N")
"""Columns of a table that no processor decides."""


def here(text: str, folder: Path) -> str:
    """A text of a page with the places of this machine."""
    return text.replace("/path/to/its", str(ROOT)).replace("/path/to", str(folder))


def run(line: str, elsewhere: Path) -> Finished:
    """Run a line of a shell, `cd FOLDER && ` included, in a fork of this process."""
    place, _, rest = line.rpartition(" && ")
    return forked(shlex.split(rest), Path(place.removeprefix("cd ") or elsewhere))


def run_alone(line: str, elsewhere: Path) -> Finished:
    """Run it by a shell, in processes of its own."""
    line = re.sub(r"\bpython ", f"{shlex.quote(sys.executable)} ", line)
    done = subprocess.run(line, shell=True, cwd=elsewhere, capture_output=True, text=True)
    return Finished(done.returncode, done.stdout + done.stderr)


def exact(text: str) -> list[dict[str, str]]:
    return [{name: row[name] for name in EXACT} for row in rows(text)]


@pytest.mark.parametrize("start", [run, pytest.param(run_alone, marks=pytest.mark.long)])
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_runs_as_printed(page: Path, start: Callable[[str, Path], Finished], tmp_path: Path):
    for name, text in files_of(page).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(here(text, tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    tables = []
    for line in commands_of(page):
        done = start(here(line, tmp_path), elsewhere)
        assert done.code == 0, f"{line}\n{done.text}"
        tables += [exact(done.text)] if "run.py" in line and "──" in done.text else []
    shown = [exact(block.text) for block in blocks(page) if block.language == "text" and "──" in block.text]
    assert shown
    assert not [table for table in shown if table not in tables]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_names_every_file_that_it_prints(page: Path):
    code = {block.text for block in blocks(page) if block.language in ("python", "yaml")}
    named = set(files_of(page).values())
    assert any("_target_: my_methods." in text for text in named)
    assert {text for text in code - named if "my_methods" in text} == set()
