"""UnifiedReward (Wang et al. 2025, arXiv:2503.05236): a Qwen-VL trained to rate a picture from 1 to 5 on three axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch

from its.classifier.published_text import around
from its.classifier.qwen_chat import QwenChat, load_chat, refuse_marks, try_judge
from its.classifier.transformers_files import OTHER
from its.weights import Device, Dtype, Settings, Weights

Axis = Literal["alignment", "coherence", "style"]

DIGITS = (1, 2, 3, 4, 5)
"""The scale."""


class UnifiedReward:
    """Ratings of pictures on an axis, each the mean of 1 to 5 under the network's chances of writing them.

    The answer is begun for it, up to the rating's first digit; the decimals that it would write behind are not read.

    Args:
        chat: with the network.
        texts: what is asked before and behind a prompt.
        axis: that is rated.

    Raises:
        ValueError: there is no such axis, the texts ask for no rating on it, or a digit is not one token.
    """

    def __init__(self, chat: QwenChat, texts: Sequence[str], axis: Axis) -> None:
        if axis not in get_args(Axis):
            raise ValueError(f"axis is {axis!r}; choose one of {', '.join(get_args(Axis))}")
        self._chat, (self._before, self._behind) = chat, texts
        self._begun = f"{axis.capitalize()} Score (1-5): "
        if self._begun not in self._before:
            raise ValueError(
                f"the question of UnifiedReward asks for no {self._begun!r}; take its "
                "point_score_ACS_image_generation.py (ratings of pairs depend on the company, and are no reward here)"
            )
        tokens = [chat.tokens(str(digit)) for digit in DIGITS]
        if any(len(each) != 1 for each in tokens):
            raise ValueError(f"the tokenizer of {chat.weights} has no token of its own for each digit; {OTHER}")
        self._tokens = torch.tensor([each[0] for each in tokens])

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> list[float]:
        """Return the rating of each picture, uint8 `[H, W, 3]`."""
        return [self._score(*pair) for pair in zip(pictures, prompts, strict=True)]

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse prompts that speak as the conversation; see `refuse_marks`."""
        for prompt in prompts:
            refuse_marks(prompt, self._chat.processor)

    def _score(self, picture: np.ndarray, prompt: str) -> float:
        self.check_prompts([prompt])
        logits = self._chat.logits([picture], f"{self._before}{prompt}{self._behind}", self._begun)
        return float(logits[self._tokens].softmax(dim=0) @ torch.tensor(DIGITS, dtype=torch.float64))


def load(
    weights: Weights,
    texts: Weights | Settings,
    *,
    axis: Axis = "alignment",
    dtype: Dtype = "bfloat16",
    device: Device = "cpu",
) -> UnifiedReward:
    """Load UnifiedReward.

    Args:
        weights: a folder or a name on the hub.
        texts: its authors' `point_score_ACS_image_generation.py`, whose one f-string of a prompt is the question.
        axis: that is rated.

    Raises:
        ValueError: the network is none of Qwen's, or is not whole; or it is not asked for a rating of one picture.
    """
    asked = around(texts, "prompt")
    judge = UnifiedReward(load_chat(weights, getattr(torch, dtype), device), asked, axis)
    try_judge(lambda: judge.scores([np.zeros((64, 64, 3), np.uint8)], [""]), weights)
    return judge
