"""Soft-TIFA of GenEval 2 (Kamath et al. 2025, arXiv:2512.16853): how sure a Qwen-VL is of answers about a picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from its.classifier.qwen_chat import QwenChat, load_chat, refuse_marks, try_judge
from its.weights import Device, Dtype, Settings, Weights, locate

Mean = Literal["geometric", "arithmetic"]

MEANS: Mapping[Mean, Callable[[Tensor], Tensor]] = {
    "geometric": lambda chances: chances.log().mean().exp(),
    "arithmetic": lambda chances: chances.mean(),
}
"""Soft-TIFA GM, which estimates whether a whole prompt is right, and AM, of its atoms."""

Question = tuple[str, str]
"""A question and its answer."""

COUNT = "How many"
"""The beginning of questions that ask for a number."""

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
YES = "Yes"

FORM = "{} Answer in one word."


class SoftTifa:
    """Means of the chances of the right answers to a prompt's questions about a picture, 0 to 1.

    Args:
        chat: of which the chances are asked.
        questions: by prompt.
        mean: over questions.

    Raises:
        ValueError: there is no such mean.
    """

    def __init__(self, chat: QwenChat, questions: Mapping[str, Sequence[Question]], mean: Mean) -> None:
        if mean not in MEANS:
            raise ValueError(f"mean is {mean!r}; choose one of {', '.join(MEANS)}")
        self._chat, self._questions, self._mean = chat, questions, mean

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> list[float]:
        """Return the score of each picture, uint8 `[H, W, 3]`."""
        self.check_prompts(prompts)
        chances = (self.chances(*pair) for pair in zip(pictures, prompts, strict=True))
        return [float(MEANS[self._mean](each)) for each in chances]

    def chances(self, picture: np.ndarray, prompt: str) -> Tensor:
        """Return the chance of the right answer to each question of a prompt, float64 `[questions]`."""
        return torch.stack([self._chance(picture, *each) for each in self._questions[prompt]])

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse prompts without questions.

        Raises:
            ValueError: naming the first.
        """
        if absent := next((prompt for prompt in prompts if prompt not in self._questions), None):
            raise ValueError(
                f"the list of questions has none about the prompt {absent[:200]!r}; soft_tifa is for dataset=geneval2, "
                "or give verifier.judge.questions of your prompts"
            )

    def _chance(self, picture: np.ndarray, question: str, answer: str) -> Tensor:
        """Add up the chances of the first tokens of all that counts as the answer, one that comes twice twice."""
        firsts = [self._chat.tokens(form)[0] for form in forms_of(question, answer)]
        chances = self._chat.logits([picture], FORM.format(question)).softmax(dim=0)
        return chances[firsts].sum()


def forms_of(question: str, answer: str) -> list[str]:
    """Return what counts as the answer to a question, as its authors list it."""
    if not question.startswith(COUNT):
        return ["Yes", "yes", " yes", " Yes"]
    digits = str(NUMBERS.index(answer) + 1)
    return [answer, answer.capitalize(), f" {answer}", f" {answer.capitalize()}", digits, f" {digits}"]


def load(
    weights: Weights,
    questions: Weights | Settings,
    *,
    mean: Mean = "geometric",
    dtype: Dtype = "bfloat16",
    device: Device = "cpu",
) -> SoftTifa:
    """Load a Qwen-VL, and the questions that it is asked.

    Args:
        weights: a folder or a name on the hub; GenEval 2 takes Qwen3-VL-8B-Instruct.
        questions: `geneval2_data.jsonl`, of whose lines `prompt` and `vqa_list` are read.
        mean: over the questions of a prompt.

    Raises:
        ValueError: the network is none of Qwen's, or is not whole; or the questions are not read.
    """
    listed = read_questions(questions)
    judge = SoftTifa(load_chat(weights, getattr(torch, dtype), device), listed, mean)
    first = next(iter(listed))
    for each in listed.values():
        for question, _ in each:
            refuse_marks(question, judge._chat.processor)
    try_judge(lambda: judge.scores([np.zeros((64, 64, 3), np.uint8)], [first]), weights)
    return judge


def read_questions(path: str) -> dict[str, list[Question]]:
    """Return the questions of a JSONL, by prompt.

    Raises:
        ValueError: a line has no prompt or no questions, an answer is none that can be looked for, or a prompt comes
            twice with other questions.
    """
    listed: dict[str, list[Question]] = {}
    for number, line in enumerate(locate(path).read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            prompt, questions = _read_line(line)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(
                f"{path}, line {number}: {error}; a line is an object with a prompt and its vqa_list, "
                '[["Are there any cats in the image?", "Yes"], ...]'
            ) from error
        if listed.setdefault(prompt, questions) != questions:
            raise ValueError(f"{path}, line {number}: the prompt {prompt[:200]!r} has other questions before; keep one")
    if not listed:
        raise ValueError(f"{path} holds no questions; take geneval2_data.jsonl of facebookresearch/GenEval2")
    return listed


def _read_line(line: str) -> tuple[str, list[Question]]:
    entry = json.loads(line)
    prompt, questions = entry["prompt"], [(question, answer) for question, answer in entry["vqa_list"]]
    if not questions or not all(isinstance(text, str) and text for text in (prompt, *sum(questions, ()))):
        raise ValueError("a prompt, a question or an answer is no text")
    for question, answer in questions:
        if answer not in (NUMBERS if question.startswith(COUNT) else (YES,)):
            raise ValueError(
                f"the answer to {question!r} is {answer!r}, and {COUNT} asks for one to ten, the others for Yes"
            )
    return prompt, questions
