"""The README, tried as a new user would: commands, printed table, Python, the search outside the clone, the map."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from tests.pages import ROOT, blocks, commands, printed
from tests.test_architecture import floor

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")

MOST_WORDS = 1500
TIME = "s/image"
"""The only column of the printed table that a machine decides."""

SPANS = [shlex.split(span) for span in re.findall(r"`((?:python|bash) [^`]+)`", TEXT)]
COMMANDS = [*commands(README), *SPANS]
RUNS = [words for words in COMMANDS if words[:2] == ["python", "run.py"]]
SCRIPTS = [words for words in COMMANDS if words[0] == "bash" or words[1].startswith("scripts/")]
OUTSIDE = [words for words in COMMANDS if words[:2] == ["python", "/path/to/its/run.py"]]


def run(words: Sequence[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run a command of the README in a folder, `python` being this interpreter, which is told no path."""
    told = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable if word == "python" else word for word in words],
        cwd=folder,
        env={**told, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )


def rows(text: str) -> list[dict[str, str]]:
    """Return the rows of a printed table, by column, without the one of seconds."""
    lines = text.splitlines()
    rule = next(k for k, line in enumerate(lines) if line.startswith("──"))
    header, *table = (re.split(r" {2,}", line.strip()) for line in (lines[rule - 1], *lines[rule + 1 :]))
    body = [cells for cells in table if len(cells) == len(header)]
    return [{name: cell for name, cell in zip(header, cells, strict=True) if name != TIME} for cells in body]


def test_readme_is_short():
    assert len(TEXT.split()) <= MOST_WORDS


def test_readme_has_only_commands_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [["pip", "install", "-e", f".[{extra}]"] for extra in project["optional-dependencies"]]
    tried = [*RUNS, *SCRIPTS, *OUTSIDE, ["pip", "install", "-e", "."], *extras]
    assert not [words for words in COMMANDS if words not in tried]
    assert len(OUTSIDE) == 1


def test_readme_table_is_what_the_first_run_prints(tmp_path: Path):
    first = RUNS[0]
    assert first == ["python", "run.py"]
    process = run(["python", str(ROOT / "run.py"), f"out_dir={tmp_path}"], tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    [table] = [block.text for block in blocks(README) if block.language == "text" and "──" in block.text]
    assert len(rows(table)) == 4
    assert rows(process.stdout) == rows(table)


@pytest.mark.parametrize("words", RUNS[1:], ids=" ".join)
def test_readme_run_can_be_planned(tmp_path: Path, words: list[str]):
    arguments = words[2:] if "--help" in words else [*words[2:], "plan=true", f"out_dir={tmp_path}"]
    process = run(["python", str(ROOT / "run.py"), *arguments], tmp_path)
    assert process.returncode == 0, process.stdout + process.stderr
    assert "search" in process.stdout if "--help" in words else " NFE to spend" in process.stdout
    assert not list(tmp_path.glob("[!.]*"))


@pytest.mark.parametrize("words", SCRIPTS, ids=" ".join)
def test_readme_script_exists_and_takes_its_words(words: list[str]):
    script = ROOT / words[1]
    flags = [word for word in words[2:] if word.startswith("--")]
    assert not [flag for flag in flags if flag not in script.read_text(encoding="utf-8")]
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        compose("config", [word for word in words[2:] if "=" in word and "/" not in word])
    if words[0] == "bash":
        assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


def test_readme_python_prints_what_it_says():
    [(code, output)] = [(code, output) for code, output in printed(README) if output]
    process = run(["python", "-c", code], ROOT, PYTHONPATH=str(ROOT))
    assert process.stdout == output, process.stderr


def test_readme_search_runs_outside_the_clone_as_printed(tmp_path: Path):
    """All that is not as printed is `/path/to`."""
    (tmp_path / "its").symlink_to(ROOT)
    here = TEXT.replace("/path/to", str(tmp_path))
    for path, text in re.findall(r"`(/[\w./-]+\.(?:py|yaml))`[^`]*```\w+\n(.*?)```", here, re.DOTALL):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = [word.replace("/path/to", str(tmp_path)) for word in OUTSIDE[0]]
    process = run(words, scratch)
    assert process.returncode == 0, process.stdout + process.stderr
    assert {row["method"] for row in rows(process.stdout)} == {"random", "climb"}


def test_readme_search_imports_from_its_alone():
    [code] = [code for code, _ in printed(README) if "(Search)" in code]
    assert re.findall(r"^(?:from|import) ([\w.]+)", code, re.MULTILINE) == ["dataclasses", "its"]


MAP = re.findall(r"`([^`]+/|[\w.]+\.py)`", TEXT.split("## What is where")[1])


def test_readme_map_names_what_exists():
    assert not [place for place in MAP if not (ROOT / place).exists()]


def test_readme_map_names_every_room():
    rooms = {f"its/{path.parent.name}/" for path in (ROOT / "its").glob("*/__init__.py")}
    folders = subprocess.check_output(["git", "ls-files", "*/*"], cwd=ROOT, text=True).splitlines()
    top = {f"{path.split('/')[0]}/" for path in folders} - {"its/", "outputs/"}
    assert not [place for place in rooms | top if place not in MAP and not place.startswith(".")]


def test_readme_map_goes_down_the_floors():
    floors = [floor(place.strip("/").replace("/", ".")) for place in MAP if place.startswith("its/")]
    assert floors == sorted(floors, reverse=True)
