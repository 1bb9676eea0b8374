"""Qwen-VL on this machine as a judge: the score that it expects to write, of one picture at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from its.classifier.transformers_files import OTHER
from its.model.checkpoint import require_numbers
from its.model.config_file import ConfigFile
from its.model.transformers_network import load_network, loaded
from its.verifier.rubric import HIGHEST, LOWEST, OVERALL, PICTURE, Rubric
from its.weights import Device, Dtype, Weights, locate

KINDS: Mapping[str, str] = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
}
"""transformers' classes by `model_type`."""

NUMBER = 1
"""The number by which a picture is called."""


class QwenVL:
    """Scores of pictures, each the mean of the scale's digits under the network's probabilities of writing them.

    It writes no text of its own: the answer is begun for it, up to the score that is asked for. Pictures are judged
    one at a time, for in a batch the network's numbers depend on their company.

    Args:
        network: transformers'.
        processor: transformers', of texts and pictures.
        weights: name of the weights, for messages.

    Raises:
        ValueError: a digit is not one token.
    """

    def __init__(self, network: Any, processor: Any, weights: str) -> None:
        self._network, self._processor = network.eval().requires_grad_(False), processor
        digits = range(LOWEST, HIGHEST + 1)
        tokens = [processor.tokenizer(str(digit), add_special_tokens=False)["input_ids"] for digit in digits]
        if any(len(each) != 1 for each in tokens):
            raise ValueError(f"the tokenizer of {weights} has no token of its own for each digit; {OTHER}")
        self._tokens = torch.tensor([each[0] for each in tokens])
        self._digits = torch.arange(LOWEST, HIGHEST + 1, dtype=torch.float64)

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], rubric: Rubric, name: str) -> list[float]:
        """Return the score called `name` of each picture, uint8 `[H, W, 3]`."""
        return [self._score(*pair, rubric, name) for pair in zip(pictures, prompts, strict=True)]

    def _score(self, picture: np.ndarray, prompt: str, rubric: Rubric, name: str) -> float:
        # Ask, and begin the answer.
        content = [{"type": "image"}, {"type": "text", "text": rubric.question(prompt, NUMBER)}]
        chat = [{"role": "user", "content": content}]
        text = self._processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        begun = f'{{"{PICTURE}":{NUMBER},{json.dumps(name)}:'

        # Take the mean over the digits that may come next.
        given = self._processor(text=[text + begun], images=[Image.fromarray(picture)], return_tensors="pt")
        with torch.inference_mode():
            logits = self._network(**given.to(self._network.device), logits_to_keep=1).logits[0, -1]
        chances = logits[self._tokens.to(logits.device)].double().softmax(dim=0).cpu()
        return float(chances @ self._digits)


def load(weights: Weights, *, dtype: Dtype = "bfloat16", device: Device = "cpu") -> QwenVL:
    """Load Qwen2-VL, Qwen2.5-VL or Qwen3-VL.

    Args:
        weights: a folder or a name on the hub, with tokenizer, processor and chat template.

    Raises:
        ValueError: it is none of these, or is not whole.
    """
    folder = locate(weights)
    config = ConfigFile.read(folder / "config.json", OTHER)
    if config.needed("model_type") not in KINDS:
        raise config.refusal("model_type", f"a judge here is one of {', '.join(KINDS)}")
    kind = KINDS[config.needed("model_type")]
    network: Any = load_network(kind, folder, weights, None, dtype=getattr(torch, dtype))
    processor = loaded("AutoProcessor", folder, weights)
    if not getattr(processor, "chat_template", None):
        raise ValueError(f"{weights} has no chat template; fetch the whole repository again")
    judge = QwenVL(network.to(device), processor, weights)
    require_numbers(network, weights)
    try:
        judge.scores([np.zeros((64, 64, 3), np.uint8)], [""], Rubric(), OVERALL)
    except Exception as error:  # the library's, of an entry that it reads and cannot use
        raise ValueError(f"{weights} judges no picture ({type(error).__name__}: {error}); fetch it again") from error
    return judge
