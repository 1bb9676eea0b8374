"""Random T5 encoders with a tokenizer of single letters."""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from its.twins.random_state import random_state

SPACE = "\u2581"
"""SentencePiece's sign for the beginning of a word."""


def write(folder: str, tokenizer: str, *, width: int = 32) -> None:
    """Write a random T5EncoderModel to a folder, and its tokenizer to another."""
    import transformers

    letters = [sign for sign in string.printable if not sign.isspace()]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), (SPACE, -2.0), *((sign, -3.0) for sign in letters)]
    words: Any = transformers.T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)
    words.save_pretrained(Path(tokenizer))
    config: Any = transformers.T5Config(
        d_model=width,
        d_kv=width // 2,
        d_ff=2 * width,
        num_layers=1,
        num_heads=2,
        vocab_size=len(pieces),
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )
    kind: Any = transformers.T5EncoderModel
    network = kind(config)
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(folder))
