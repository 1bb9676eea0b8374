"""Qwen-VL on this machine as a judge: the score that it expects to write, of one picture at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import torch

from its.classifier.qwen_chat import QwenChat, load_chat, refuse_marks, try_judge
from its.classifier.transformers_files import OTHER
from its.verifier.rubric import HIGHEST, LOWEST, OVERALL, PICTURE, Rubric
from its.weights import Device, Dtype, Weights

NUMBER = 1
"""The number by which a picture is called."""


class QwenVL:
    """Scores of pictures, each the mean of the scale's digits under the network's probabilities of writing them.

    The answer is begun for it, up to the score that is asked for.

    Args:
        chat: with the network.

    Raises:
        ValueError: a digit is not one token.
    """

    def __init__(self, chat: QwenChat) -> None:
        self.chat = chat
        self._digits = torch.arange(LOWEST, HIGHEST + 1, dtype=torch.float64)
        tokens = [chat.tokens(str(digit)) for digit in range(LOWEST, HIGHEST + 1)]
        if any(len(each) != 1 for each in tokens):
            raise ValueError(f"the tokenizer of {chat.weights} has no token of its own for each digit; {OTHER}")
        self._tokens = torch.tensor([each[0] for each in tokens])

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], rubric: Rubric, name: str) -> list[float]:
        """Return the score called `name` of each picture, uint8 `[H, W, 3]`."""
        return [self._score(*pair, rubric, name) for pair in zip(pictures, prompts, strict=True)]

    def _score(self, picture: np.ndarray, prompt: str, rubric: Rubric, name: str) -> float:
        refuse_marks(prompt, self.chat.processor)
        begun = f'{{"{PICTURE}":{NUMBER},{json.dumps(name)}:'
        logits = self.chat.logits([picture], rubric.question(prompt, NUMBER), begun)
        return float(logits[self._tokens].softmax(dim=0) @ self._digits)


def load(weights: Weights, *, dtype: Dtype = "bfloat16", device: Device = "cpu") -> QwenVL:
    """Load Qwen2-VL, Qwen2.5-VL or Qwen3-VL.

    Args:
        weights: a folder or a name on the hub, with tokenizer, processor and chat template.

    Raises:
        ValueError: it is none of these, or is not whole.
    """
    judge = QwenVL(load_chat(weights, getattr(torch, dtype), device))
    try_judge(lambda: judge.scores([np.zeros((64, 64, 3), np.uint8)], [""], Rubric(), OVERALL), weights)
    return judge
