"""HPSv3 (Ma et al. 2025, arXiv:2508.03789): Qwen2-VL with a head of two numbers, at a mark behind its question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from its.classifier.published_text import strings
from its.classifier.qwen_chat import inputs_of, load_processor, refuse_marks, try_judge
from its.classifier.transformers_files import OTHER
from its.model.checkpoint import fit, misfit_of, read, refuse_misfit, require_numbers
from its.model.config_file import ConfigFile
from its.model.transformers_network import check_entries, library, loaded
from its.model.wrappers import StateDict
from its.weights import Device, Dtype, Settings, Weights, locate

PATCH = 28
"""Side of what the network sees as one token."""

PIXELS = 256 * PATCH**2
"""Pixels that every picture is resized to, in whole patches: 448 x 448 of a square."""

MARK = "<|Reward|>"
"""The token that the head reads, the last of the vocabulary, which Qwen2-VL's own tokenizer has not."""

HEAD, UNUSED = "rm_head.", "lm_head.weight"
"""Names of the head's tensors; and of the one that writes text."""

PLACES = {r"model\.(?=visual\.|language_model\.)": "", r"model\.": "language_model."}
"""Beginnings of names, as transformers has them since 4.52 and had them before, and what stands in their place."""

EMBEDDING = "language_model.embed_tokens.weight"


class HpsV3:
    """Preferences for pictures by their prompts, each a mean; about 0 to 15.

    Args:
        network: transformers' Qwen2VLModel.
        head: of the state at the mark, in float32.
        processor: transformers', whose tokenizer knows the mark.
        texts: what is asked before and behind, the former with the field `{text_prompt}`.

    Raises:
        ValueError: they ask without the prompt, or without the mark.
    """

    def __init__(self, network: Any, head: nn.Module, processor: Any, texts: Sequence[str]) -> None:
        self._network, self._head, self._processor = network.eval().requires_grad_(False), head, processor
        self._asked, self._behind = texts
        self._mark = processor.tokenizer.convert_tokens_to_ids(MARK)
        if self._asked.count("{text_prompt}") != 1 or "".join(texts).count(MARK) != 1:
            raise ValueError(
                f"HPSv3 is asked with one {{text_prompt}} and one {MARK}; take data_collator_qwen.py of its"
            )

    def scores(self, pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> list[float]:
        """Return the mean of each picture, uint8 `[H, W, 3]`, which stands beside others as its score."""
        return self.judgements(pictures, prompts)[:, 0].tolist()

    def judgements(self, pictures: Sequence[np.ndarray], prompts: Sequence[str]) -> Tensor:
        """Return mean and standard deviation of the preference for each picture, float64 `[n, 2]`."""
        pairs = [self._judged(*pair) for pair in zip(pictures, prompts, strict=True)]
        mean, log_deviation = torch.stack(pairs).double().unbind(1)
        return torch.stack([mean, log_deviation.exp()], dim=1)

    def check_prompts(self, prompts: Sequence[str]) -> None:
        """Refuse prompts that speak as the conversation; see `refuse_marks`."""
        for prompt in prompts:
            refuse_marks(prompt, self._processor)

    def _judged(self, picture: np.ndarray, prompt: str) -> Tensor:
        self.check_prompts([prompt])
        question = self._asked.format(text_prompt=prompt) + self._behind
        inputs = inputs_of(self._processor, [resized(picture)], question).to(self._network.device)

        # Positions are counted in the picture too, as by its authors, who hand the network embeddings without tokens.
        tokens = inputs["input_ids"]
        positions = torch.arange(tokens.shape[1], device=tokens.device).expand(3, 1, -1)
        with torch.inference_mode():
            states = self._network(**inputs, position_ids=positions, use_cache=False).last_hidden_state
            return self._head(states[tokens == self._mark].float())[0].cpu()


def resized(picture: np.ndarray) -> Image.Image:
    """Resize a picture, uint8 `[H, W, 3]`, to `PIXELS` in whole patches, by Pillow."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    height, width, _ = picture.shape
    rows, columns = smart_resize(height, width, factor=PATCH, min_pixels=PIXELS, max_pixels=PIXELS)
    return Image.fromarray(picture).resize((columns, rows), Image.Resampling.BICUBIC)


def load(
    weights: Weights,
    base: Weights | Settings,
    texts: Weights | Settings,
    *,
    dtype: Dtype = "bfloat16",
    device: Device = "cpu",
) -> HpsV3:
    """Load HPSv3.

    Args:
        weights: `HPSv3.safetensors`.
        base: Qwen2-VL-7B-Instruct, of which configuration, tokenizer and processor are taken, and no weights.
        texts: `hpsv3/dataset/data_collator_qwen.py` of its authors' repository, which has the question.

    Raises:
        ValueError: an entry is unknown, or weights, tokenizer or question do not fit.
    """
    asked = strings(texts, "INSTRUCTION", "prompt_with_special_token")
    state = {_renamed(name): value for name, value in read(weights).items() if name != UNUSED}
    head = _head({name: value for name, value in state.items() if name.startswith(HEAD)}, weights)
    state = {name: value for name, value in state.items() if not name.startswith(HEAD)}

    # Let the tokenizer know the mark, which is the last of the tokens that the network knows.
    processor = load_processor(base)
    transformers = library(base)
    known = len(state.get(EMBEDDING, ()))
    processor.tokenizer.add_tokens([transformers.AddedToken(MARK, special=True, normalized=False)], special_tokens=True)
    if processor.tokenizer.convert_tokens_to_ids(MARK) != known - 1:
        raise ValueError(
            f"the tokenizer of {base} has {len(processor.tokenizer)} tokens with {MARK}, and {weights} knows {known}; "
            "base is Qwen/Qwen2-VL-7B-Instruct"
        )

    network = _network(state, base, weights, getattr(torch, dtype))
    judge = HpsV3(network.to(device), head.to(device), processor, asked)
    for part in (network, head):
        require_numbers(part, weights)
    try_judge(lambda: judge.scores([np.zeros((64, 64, 3), np.uint8)], [""]), weights)
    return judge


def _network(state: StateDict, base: str, weights: str, dtype: torch.dtype) -> Any:
    """Make Qwen2-VL by the configuration of `base`, with the vocabulary of the weights."""
    file = ConfigFile.read(locate(base) / "config.json", OTHER)
    if file.needed("model_type") != "qwen2_vl":
        raise file.refusal("model_type", 'HPSv3 is a "qwen2_vl"')
    config = loaded("AutoConfig", locate(base), base)
    check_entries(file, config)
    config.text_config.vocab_size = len(state[EMBEDDING])
    network, info = library(base).Qwen2VLModel.from_pretrained(
        None, config=config, state_dict=state, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
    )
    refuse_misfit(weights, "Qwen2VLModel", misfit_of(info), f"base is {base}; take HPSv3.safetensors of MizzenAI/HPSv3")
    return network


def _head(state: StateDict, weights: str) -> nn.Module:
    """Make the head, whose shapes say how wide its three layers are."""
    layers = [state.get(f"{HEAD}{place}.weight") for place in (0, 3, 5)]
    shapes = [tuple(layer.shape) for layer in layers if layer is not None and layer.ndim == 2]
    if len(shapes) < len(layers) or shapes[-1][0] != 2:
        raise ValueError(
            f"{weights} has no head of three layers and two numbers; take HPSv3.safetensors of MizzenAI/HPSv3"
        )
    first, second, third = (nn.Linear(width, made) for made, width in shapes)
    rectified, nothing = nn.ReLU(), nn.Identity()
    head = nn.Sequential(first, rectified, nothing, second, rectified, third)
    fitted = {name.removeprefix(HEAD): value.float() for name, value in state.items()}
    return fit(head, fitted, weights, "take HPSv3.safetensors of MizzenAI/HPSv3")


def _renamed(name: str) -> str:
    for pattern, place in PLACES.items():
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", place, name)
    return name
