"""A Qwen-VL on this machine that is shown pictures and asked about them, one question at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from its.classifier.transformers_files import OTHER
from its.model.checkpoint import require_numbers
from its.model.config_file import ConfigFile
from its.model.transformers_network import load_network, loaded
from its.weights import locate

KINDS: Mapping[str, str] = {
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
}
"""transformers' classes by `model_type`."""


class QwenChat:
    """The chances of what a Qwen-VL would write next, after a question and the beginning of its answer.

    It writes no text of its own. Questions are asked one at a time, for in a batch the network's numbers depend on
    their company.

    Args:
        network: transformers'.
        processor: transformers', of texts and pictures.
        weights: name of the weights, for messages.
    """

    def __init__(self, network: Any, processor: Any, weights: str) -> None:
        self.network, self.processor = network.eval().requires_grad_(False), processor
        self.weights = weights

    def logits(self, pictures: Sequence[np.ndarray], question: str, begun: str = "") -> Tensor:
        """Return the logits of the token that comes next, float64 `[vocabulary]`.

        Args:
            pictures: uint8 `[H, W, 3]`, which stand before the question.
            begun: the beginning of the answer.
        """
        inputs = inputs_of(self.processor, [Image.fromarray(each) for each in pictures], question, begun)
        with torch.inference_mode():
            return self.network(**inputs.to(self.network.device), logits_to_keep=1).logits[0, -1].double().cpu()

    def tokens(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return list(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def inputs_of(processor: Any, pictures: Sequence[Image.Image], question: str, begun: str = "") -> Any:
    """Return what a network is given of a conversation of one question."""
    content = [*({"type": "image"} for _ in pictures), {"type": "text", "text": question}]
    chat = [{"role": "user", "content": content}]
    text = processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    return processor(text=[text + begun], images=list(pictures), return_tensors="pt")


def refuse_marks(prompt: str, processor: Any) -> None:
    """Refuse a prompt with a text that the network reads as a mark of the conversation, such as the end of a turn.

    Raises:
        ValueError: naming both.
    """
    marks = [str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special]
    if mark := next((mark for mark in marks if mark in prompt), None):
        raise ValueError(f"the prompt {prompt[:200]!r} holds {mark}, which a judge reads as no text; leave it out")


def load_chat(weights: str, dtype: torch.dtype, device: str) -> QwenChat:
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
    network: Any = load_network(KINDS[config.needed("model_type")], folder, weights, None, dtype=dtype)
    chat = QwenChat(network.to(device), load_processor(weights), weights)
    require_numbers(network, weights)
    return chat


def load_processor(weights: str) -> Any:
    """Load the processor of texts and pictures of a folder, or of a name on the hub.

    Raises:
        ValueError: it is not whole.
    """
    processor = loaded("AutoProcessor", locate(weights), weights)
    if not all(hasattr(processor, part) for part in ("tokenizer", "image_processor")):
        raise ValueError(
            f"the processor of {weights} is read as {type(processor).__name__}, none of pictures and texts; "
            "correct processor_class of its files, or fetch the whole repository again"
        )
    if not getattr(processor, "chat_template", None):
        raise ValueError(f"{weights} has no chat template; fetch the whole repository again")
    return processor


def try_judge(judge: Callable[[], object], weights: str) -> None:
    """Let a judge that was loaded score something, so that it is refused before anything is made.

    Raises:
        ValueError: it cannot.
    """
    try:
        judge()
    except Exception as error:  # the library's, of an entry that it reads and cannot use
        raise ValueError(f"{weights} judges no picture ({type(error).__name__}: {error}); fetch it again") from error
