"""A prompt on a command line, as it is typed into a shell and as a run records it."""

import json
import os
from pathlib import Path

import pytest

from its.config.composed import composed_sweep
from tests.build import CONF, blueprint_of
from tests.end_to_end.test_command import shell
from tests.run.test_prompts import PAINTER

ROOT = CONF.parent


PRINTED = [
    (page.name, line.partition("    #")[0].strip())
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for line in page.read_text(encoding="utf-8").splitlines()
    if line.strip().startswith("python run.py experiment=flux2_klein_ses")
]


def test_prompt_command_that_is_printed_runs_in_a_shell(tmp_path):
    """One picture from text, as the first command of the page has it, quotes and all, on twins."""
    page, line = PRINTED[0]
    assert page in ("README.md", "text-to-image.md")
    assert {line for _, line in PRINTED} == {line}, "every page prints the same"
    done = shell(f"cd {ROOT} && ITS_CACHE={tmp_path} {line} smoke=true out_dir={tmp_path}", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert any(row.startswith("ses ") for row in said), "the table"
    pictures = [Path(place) for place in said if place.endswith(".png")]
    assert [picture.name for picture in pictures] == ["rewards_vs_nfe.png", "0001.png"]
    assert all(picture.is_file() for picture in pictures)
    [run] = tmp_path.glob("smoke/**/metrics.json")
    summary = json.loads(run.read_text())
    assert json.loads((run.parent / "problems.jsonl").read_text()) == {"prompt": "sketch, a cat"}
    assert summary["command"] == f"{line} smoke=true"
    assert "report_image_reward" in summary["curve"][0], "one is held out"


@pytest.mark.long
@pytest.mark.parametrize(
    ("typed", "prompt"),
    [
        ("\"prompt='sketch, a cat'\"", "sketch, a cat"),
        ("'prompt=\"it costs $5, 50% & {more}; #1\"'", "it costs $5, 50% & {more}; #1"),
        ("\"prompt='it\\'s a [cat]'\"", "it's a [cat]"),
        ("prompt=cat", "cat"),
    ],
)
def test_prompt_typed_into_a_shell_is_the_prompt(tmp_path, typed, prompt):
    script = os.path.relpath(ROOT / "run.py", tmp_path)
    words = " ".join(f"'{word}'" for word in PAINTER)
    where = f"cd {ROOT} && cd {tmp_path} && PYTHONPATH={ROOT}"
    done = shell(f"{where} python {script} {words} dataset=prompt {typed} out_dir=out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [run] = tmp_path.glob("out/**/metrics.json")
    assert json.loads((run.parent / "problems.jsonl").read_text()) == {"prompt": prompt}
    again = shell(f"{where} {json.loads(run.read_text())['command']} out_dir=out", tmp_path)
    assert "nothing to do" in again.stdout, again.stdout + again.stderr


def test_several_prompts_are_several_runs():
    jobs = composed_sweep([*PAINTER, "dataset=prompt", "prompt='sketch, a cat','a dog'"])
    assert [job.config.prompt for job in jobs] == ["sketch, a cat", "a dog"]


@pytest.mark.parametrize(
    ("name", "images"),
    [
        *(("drawbench", 200), ("partiprompts", 1632), ("geneval", 553 * 4), ("geneval2", 800), ("dpg", 1065 * 4)),
        *(("t2i_compbench", 8 * 300 * 10), ("hpsv2", 4 * 800)),
    ],
)
def test_published_lists_are_planned_where_they_are_not(name, images, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ITS_WEIGHTS", raising=False)
    plan = blueprint_of(tmp_path, *PAINTER, f"dataset={name}", planning=True)
    assert plan.plain["images"] == images
    with pytest.raises(FileNotFoundError, match=rf"no list of prompts at {tmp_path}.*(prefetch|save there)"):
        blueprint_of(tmp_path, *PAINTER, f"dataset={name}")
