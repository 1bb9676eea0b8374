"""A random Qwen-VL, and a short question for ratings as UnifiedReward's authors write theirs."""

from __future__ import annotations

from pathlib import Path

from its.twins.qwen_vl import write as write_qwen_vl
from its.weights import Settings, Weights

TEXTS = r"""
prompt = ""
problem = (
    "Rate this picture.\n"
    "Alignment Score (1-5): X\n"
    "Coherence Score (1-5): Y\n"
    "Style Score (1-5): Z\n\n"
    f"Text Caption: [{prompt}]"
)
"""


def write(weights: Weights, *, texts: Weights | Settings) -> None:
    """Write a network to the folder `weights`, and its question to the file `texts`."""
    write_qwen_vl(weights)
    Path(texts).write_text(TEXTS, encoding="utf-8")
