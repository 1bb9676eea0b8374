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
