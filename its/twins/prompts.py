"""A twin of a list of prompts: few, and each an awkward one."""

import json
from pathlib import Path

PROMPTS = (
    ("a red cube on a blue sphere", "plain"),
    ("sketch, a cat", "plain"),
    ('a sign that says "50% <off> & $5_off"', "signs"),
    ("=SUM(1, 2) on a | blackboard", "signs"),
    ("a café at night, 夜", "letters"),
    ("a very long description of one small thing, " * 12, "letters"),
)


def write(path: str) -> None:
    """Write a JSONL of six prompts in three categories.

    Args:
        path: of the file, in a folder that exists.
    """
    lines = [json.dumps({"prompt": prompt, "category": category}) + "\n" for prompt, category in PROMPTS]
    Path(path).write_text("".join(lines), encoding="utf-8")
