"""Random CLIP text encoders with a tokenizer of single letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from its.twins.random_state import random_state

START, END = "<|startoftext|>", "<|endoftext|>"


def write(folder: str, tokenizer: str, *, width: int = 32, projected: bool = False, **options: Any) -> None:
    """Write a random text encoder to a folder, and its tokenizer to another, as Stable Diffusion's are published.

    Args:
        projected: it is a CLIPTextModelWithProjection.
        options: of its configuration.
    """
    import transformers

    # Make the tokenizer: each byte as part of a word, and at a word's end.
    letters = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 324))]
    tokens = [*letters, *(f"{each}</w>" for each in letters), START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    words: Any = transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
    words.save_pretrained(Path(tokenizer))

    # Make the network.
    config: Any = transformers.CLIPTextConfig(
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        vocab_size=len(vocabulary),
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
        **options,
    )
    kind: Any = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    network = kind(config)
    network.load_state_dict(random_state(network))
    network.save_pretrained(Path(folder))
