"""Random Qwen3 language models with a tokenizer of single letters and a template for chats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from its.twins.random_state import random_state

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

LAYERS = 28
"""One more than the last layer whose states FLUX.2 klein reads."""

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}"
)


def write(
    folder: str,
    tokenizer: str,
    *,
    width: int = 16,
    layers: int = LAYERS,
    kind: Literal["Qwen3ForCausalLM", "Qwen3Model"] = "Qwen3ForCausalLM",
) -> None:
    """Write a random network of Qwen3 to a folder, and its tokenizer to another."""
    import transformers

    vocabulary = write_tokenizer(tokenizer)
    config: Any = transformers.Qwen3Config(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        vocab_size=vocabulary,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    network: Any = getattr(transformers, kind)(config)
    network.load_state_dict(random_state(network))
    network.tie_weights()
    network.save_pretrained(Path(folder))


def write_tokenizer(folder: str, words: Sequence[str] = ()) -> int:
    """Write a tokenizer of which each byte is a token, and some words, to a folder; return how many tokens it knows."""
    import transformers

    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 324))]
    vocabulary = {token: index for index, token in enumerate([*letters, PAD, START, END])}
    tokenizer: Any = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=[], model_max_length=512)
    tokenizer.add_special_tokens({"additional_special_tokens": [START, END]})
    tokenizer.add_tokens([*words])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(Path(folder))
    return len(tokenizer)
