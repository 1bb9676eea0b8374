"""A random Qwen-VL, and questions about the prompts of a smoke run."""

from __future__ import annotations

import json
from pathlib import Path

from its.twins.prompts import PROMPTS
from its.twins.qwen_vl import write as write_qwen_vl
from its.weights import Settings, Weights

QUESTIONS = (("How many things are in the image?", "two"), ("Are there any things in the image?", "Yes"))


def write(weights: Weights, *, questions: Weights | Settings) -> None:
    """Write a network to the folder `weights`, and to `questions` two about each prompt of `its.twins.prompts`."""
    write_qwen_vl(weights)
    lines = [json.dumps({"prompt": prompt, "vqa_list": QUESTIONS}) + "\n" for prompt, _ in PROMPTS]
    Path(questions).write_text("".join(lines), encoding="utf-8")
