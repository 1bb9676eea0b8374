"""Random Gemma 2 language models with a tokenizer of single letters."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from its.twins.random_state import random_state

SPACE = "\u2581"
"""The sign that stands for a space."""


def write(folder: str, tokenizer: str, *, width: int = 16) -> None:
    """Write a random Gemma2Model to a folder, and its tokenizer to another."""
    import transformers

    # Make the tokenizer: each letter is a token, behind one that begins a text.
    letters = [sign for sign in string.printable if not sign.isspace()]
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", SPACE, "\n", *letters]
    vocabulary = {token: index for index, token in enumerate(names)}
    words: Any = transformers.GemmaTokenizer(vocab=vocabulary, merges=[], add_bos_token=True, model_max_length=8192)
    words.save_pretrained(Path(tokenizer))

    # Make the network.
    config: Any = transformers.Gemma2Config(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        vocab_size=len(vocabulary),
    )
    kind: Any = transformers.Gemma2Model
    network = kind(config)
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(folder))
